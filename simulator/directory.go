package simulator

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
)

// directory finds accounts by number and by LID. It is guarded by Server.mu.
type directory struct {
	byNumber map[string]*account
	byLID    map[string]*account
	byAlias  map[string]*account // other forms of a number, which a look-up finds
}

func newDirectory() directory {
	return directory{byNumber: map[string]*account{}, byLID: map[string]*account{}, byAlias: map[string]*account{}}
}

// AccountSpec describes an account to add.
type AccountSpec struct {
	// Number is the phone number in international form, digits only.
	Number string `json:"number"`
	// Name is what the account's owner calls itself.
	Name string `json:"name,omitempty"`
	// About is the account's about text.
	About string `json:"about,omitempty"`
	// Unregistered puts a number into the directory that is not on WhatsApp.
	Unregistered bool `json:"unregistered,omitempty"`
	// Companions is how many virtual devices the account has beside its phone. It can grow later, not shrink.
	Companions int `json:"companions,omitempty"`
	// Aliases are other forms of the number under which a look-up finds the account, as with the ninth digit of Brazil, the
	// 1 of Mexico and the 9 of Argentina. The answer names Number.
	Aliases []string `json:"aliases,omitempty"`
	// Identities says by which addresses clients know the account: by number and LID when empty, "number" or "lid" alone.
	Identities string `json:"identities,omitempty"`
	// Passkey makes clients prove the account's passkey before the phone links them.
	Passkey bool `json:"passkey,omitempty"`
	// Sync is what the account's phone sends clients after pairing.
	Sync Sync `json:"sync,omitzero"`
	// Limits are what WhatsApp holds against the account, for those whose phone clients are linked to.
	Limits Limits `json:"limits,omitzero"`
	// Behaviour is what the account's phone does with messages.
	Behaviour Behaviour `json:"behaviour,omitzero"`
}

// AddAccount adds an account, or changes the name, about text, registration and behaviour of one that exists; its keys and
// linked clients stay. Every account can be written to, and a registered one's phone can scan pairing codes.
func (s *Server) AddAccount(spec AccountSpec) error {
	if err := checkNumber(spec.Number); err != nil {
		return err
	}
	if err := spec.Behaviour.check(); err != nil {
		return err
	}
	if err := checkIdentities(spec.Identities); err != nil {
		return err
	}
	if err := spec.Sync.check(); err != nil {
		return err
	}
	for _, alias := range spec.Aliases {
		if err := checkNumber(alias); err != nil {
			return fmt.Errorf("alias: %w", err)
		}
	}
	if spec.Companions < 0 || spec.Companions > maxCompanions {
		return fmt.Errorf("an account can have up to %d companions", maxCompanions)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.directory.byNumber[spec.Number]
	if a == nil {
		a = s.directory.add(spec.Number)
	}
	renamed := a.name != spec.Name
	a.name, a.about, a.registered, a.behaviour = spec.Name, spec.About, !spec.Unregistered, spec.Behaviour
	a.identities, a.limits, a.passkey = spec.Identities, spec.Limits, spec.Passkey
	a.sync = spec.Sync
	s.directory.alias(a, spec.Aliases)
	if renamed && a.appState != nil {
		if err := a.nameInAppState(); err != nil {
			return fmt.Errorf("change the name: %w", err)
		}
		s.tellAppState(a, collectionSettings, nil)
	}
	a.addCompanions(spec.Companions)
	s.changed()
	return nil
}

// The values of [AccountSpec.Identities] beside the empty one.
const (
	numberOnly = "number"
	lidOnly    = "lid"
)

func checkIdentities(identities string) error {
	switch identities {
	case "", numberOnly, lidOnly:
		return nil
	}
	return fmt.Errorf("identities must be %q, %q or empty, not %q", numberOnly, lidOnly, identities)
}

// alias has look-ups find an account under other forms of its number, and no longer under those it had.
func (d directory) alias(a *account, aliases []string) {
	for _, old := range a.aliases {
		if d.byAlias[old] == a {
			delete(d.byAlias, old)
		}
	}
	a.aliases = aliases
	for _, alias := range aliases {
		d.byAlias[alias] = a
	}
}

// maxCompanions bounds the virtual devices beside a phone. Apps link four, as WhatsApp says; two are left for clients.
const maxCompanions = 2

// addCompanions gives the account virtual devices until it has that many.
func (a *account) addCompanions(wanted int) {
	for _, d := range a.devices {
		if d.id != 0 && !d.linked() {
			wanted--
		}
	}
	for range wanted {
		a.keyIndex++
		a.devices[a.nextDevice] = &device{account: a, id: a.nextDevice, keyIndex: a.keyIndex}
		a.nextDevice++
	}
}

// checkNumber accepts 5 to 15 digits without a leading zero: 15 is the most an international number can have.
func checkNumber(number string) error {
	if len(number) < 5 || len(number) > 15 || number[0] == '0' {
		return errors.New("account number must have 5 to 15 digits and no leading zero")
	}
	for _, char := range number {
		if char < '0' || char > '9' {
			return errors.New("account number must be digits only")
		}
	}
	return nil
}

// add puts a new account with its phone into the directory.
func (d directory) add(number string) *account {
	a := &account{number: number, lid: d.freeLID(number), devices: map[uint16]*device{}, nextDevice: 1}
	a.devices[0] = &device{account: a}
	d.byNumber[a.number] = a
	d.byLID[a.lid] = a
	return a
}

// freeLID derives a LID of 15 digits from a number: the same number always gets the same one, unless two collide. Real LIDs tell
// nothing of the number; their length is a guess.
func (d directory) freeLID(number string) string {
	const lowest, count = 100_000_000_000_000, 900_000_000_000_000
	for salt := 0; ; salt++ {
		sum := sha256.Sum256([]byte("lid " + strconv.Itoa(salt) + " " + number))
		lid := strconv.FormatUint(lowest+binary.BigEndian.Uint64(sum[:8])%count, 10)
		if d.byLID[lid] == nil {
			return lid
		}
	}
}

// account finds the account an address belongs to, by number or LID, and nil when there is none.
func (d directory) account(jid types.JID) *account {
	switch jid.Server {
	case types.DefaultUserServer, types.LegacyUserServer:
		return d.byNumber[jid.User]
	case types.HiddenUserServer:
		return d.byLID[jid.User]
	default:
		return nil
	}
}

// device finds the device an address names, and nil when there is none.
func (d directory) device(jid types.JID) *device {
	a := d.account(jid)
	if a == nil || !a.registered {
		return nil
	}
	return a.devices[jid.Device]
}

// numberAt returns the number of the account an address belongs to, "" when there is none.
func (s *Server) numberAt(jid types.JID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.directory.account(jid); a != nil {
		return a.number
	}
	return ""
}

// registeredAccount finds an account that is on WhatsApp by its number.
func (d directory) registeredAccount(number string) (*account, error) {
	a := d.byNumber[number]
	if a == nil || !a.registered {
		return nil, fmt.Errorf("%w: its number ends in %s", errNoAccount, lastDigits(number))
	}
	return a, nil
}

// key returns the account key, made at first use so that an idle directory entry stays small. Call with Server.mu held.
func (a *account) key() *keys.KeyPair {
	if a.identity == nil {
		a.identity = keys.NewKeyPair()
	}
	return a.identity
}

// jid returns the account's phone-number address.
func (a *account) jid() types.JID { return types.NewJID(a.number, types.DefaultUserServer) }

// lidJID returns the account's LID address.
func (a *account) lidJID() types.JID { return types.NewJID(a.lid, types.HiddenUserServer) }

// lastDigits is as much of a number as a log or an error should show.
func lastDigits(number string) string {
	return number[max(0, len(number)-4):]
}

// sorted returns the accounts by number, so that equal states make equal files.
func (d directory) sorted() []*account {
	accounts := make([]*account, 0, len(d.byNumber))
	for _, a := range d.byNumber {
		accounts = append(accounts, a)
	}
	slices.SortFunc(accounts, func(a, b *account) int { return strings.Compare(a.number, b.number) })
	return accounts
}
