package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.mau.fi/whatsmeow/util/keys"
)

// stateVersion is the layout of the state file; another one is refused.
const stateVersion = 1

// savePause gathers changes before the state file is written anew.
const savePause = 500 * time.Millisecond

// savedState is the state file. It holds private keys, of accounts that do not exist.
type savedState struct {
	Version  int            `json:"version"`
	Root     []byte         `json:"root"` // private key
	Accounts []savedAccount `json:"accounts"`
}

type savedAccount struct {
	Number     string         `json:"number"`
	LID        string         `json:"lid"`
	Name       string         `json:"name,omitempty"`
	About      string         `json:"about,omitempty"`
	Registered bool           `json:"registered"`
	Identity   []byte         `json:"identity,omitempty"` // private key
	NextDevice uint16         `json:"next_device"`
	KeyIndex   uint32         `json:"key_index"`
	Behaviour  Behaviour      `json:"behaviour,omitzero"`
	Aliases    []string       `json:"aliases,omitempty"`
	Identities string         `json:"identities,omitempty"`
	Limits     Limits         `json:"limits,omitzero"`
	Passkey    bool           `json:"passkey,omitempty"`
	Sync       Sync           `json:"sync,omitzero"`
	AppState   *savedAppState `json:"app_state,omitempty"`
	Away       bool           `json:"away,omitempty"`
	PreKeys    *int           `json:"prekeys,omitempty"`
	// Chats and Tokens are keyed by the other's number.
	Chats   map[string]savedChat `json:"chats,omitempty"`
	Tokens  map[string][]byte    `json:"tokens,omitempty"`
	Devices []savedDevice        `json:"devices,omitempty"`
}

// savedAppState is an app state; hashes follow from the patches.
type savedAppState struct {
	KeyID       []byte              `json:"key_id"`
	Key         []byte              `json:"key"`
	Salt        []byte              `json:"salt"`
	Collections map[string][][]byte `json:"collections,omitempty"` // patches
}

// savedChat is what an account knows of another.
type savedChat struct {
	Wrote   bool `json:"wrote,omitempty"`
	Reached bool `json:"reached,omitempty"`
}

// savedDevice is a linked device, or a virtual one with its Signal state.
type savedDevice struct {
	ID       uint16         `json:"id"`
	KeyIndex uint32         `json:"key_index,omitempty"`
	Signal   *signalState   `json:"signal,omitempty"`
	Linked   *savedLink     `json:"linked,omitempty"`
	Synced   bool           `json:"synced,omitempty"`
	Waiting  []savedWaiting `json:"waiting,omitempty"`
}

type savedLink struct {
	NoiseKey       []byte        `json:"noise_key"`
	IdentityKey    []byte        `json:"identity_key"`
	Identity       []byte        `json:"identity"` // signed
	LinkedAt       time.Time     `json:"linked_at"`
	RegistrationID uint32        `json:"registration_id"`
	SignedPreKey   savedPreKey   `json:"signed_prekey"`
	Signature      []byte        `json:"signature"`
	PreKeys        []savedPreKey `json:"prekeys,omitempty"`
}

type savedPreKey struct {
	ID     uint32 `json:"id"`
	Public []byte `json:"public"`
}

// savedWaiting is a stanza in the encoding of the wire.
type savedWaiting struct {
	Key  string `json:"key"`
	Node []byte `json:"node"`
}

// load reads the state file, if there is one, and makes the certificate chain.
func (s *Server) load() error {
	saved, err := readState(s.opts.StateFile)
	if err != nil {
		return err
	}
	root, err := chooseRoot(s.opts.RootPrivate, saved.Root)
	if err != nil {
		return err
	}
	if s.authority, err = newAuthority(root, time.Now()); err != nil {
		return err
	}
	for i := range saved.Accounts {
		a, err := saved.Accounts[i].restore()
		if err != nil {
			return fmt.Errorf("account ending in %s: %w", lastDigits(saved.Accounts[i].Number), err)
		}
		s.directory.byNumber[a.number] = a
		s.directory.byLID[a.lid] = a
		for _, alias := range a.aliases {
			s.directory.byAlias[alias] = a
		}
	}
	s.changed() // a new root must reach the file before clients trust it
	return nil
}

// readState reads a state file; one that does not exist, or no path, is an empty state.
func readState(path string) (savedState, error) {
	if path == "" {
		return savedState{}, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return savedState{}, nil
	}
	if err != nil {
		return savedState{}, err
	}
	var saved savedState
	if err := json.Unmarshal(data, &saved); err != nil {
		return savedState{}, fmt.Errorf("parse %s: %w", path, err)
	}
	if saved.Version != stateVersion {
		return savedState{}, fmt.Errorf("%s has version %d, this program knows %d", path, saved.Version, stateVersion)
	}
	return saved, nil
}

// chooseRoot takes the root key that was asked for, that was saved, or a new one. It refuses two that differ: the clients
// of the state file trust the saved one.
func chooseRoot(asked string, saved []byte) (*keys.KeyPair, error) {
	var root *keys.KeyPair
	if saved != nil {
		var err error
		if root, err = restoreKey(saved); err != nil {
			return nil, fmt.Errorf("root key: %w", err)
		}
	}
	if asked != "" {
		wanted, err := parsePrivateKey(asked)
		if err != nil {
			return nil, err
		}
		if root != nil && *root.Pub != *wanted.Pub {
			return nil, errors.New("the state file was made under another root key")
		}
		root = wanted
	}
	if root == nil {
		root = keys.NewKeyPair()
	}
	return root, nil
}

// changed marks the state as changed; it is written soon. It may be called under any lock.
func (s *Server) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// saveChanges writes the state file after changes, until Close, which writes it once more.
func (s *Server) saveChanges() {
	for {
		select {
		case <-s.dirty:
		case <-s.ctx.Done():
			return
		}
		if err := s.save(); err != nil {
			s.log.Error("simulator state not saved", "error", err)
		}
		select {
		case <-time.After(savePause):
		case <-s.ctx.Done():
			return
		}
	}
}

// save writes the state file.
func (s *Server) save() error {
	if s.opts.StateFile == "" {
		return nil
	}
	state, err := s.snapshot()
	if err != nil {
		return err
	}
	data, err := json.Marshal(state)
	if err != nil {
		return err
	}
	return writeFileAtomically(s.opts.StateFile, data)
}

// snapshot copies the state.
func (s *Server) snapshot() (savedState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := savedState{Version: stateVersion, Root: s.authority.root.Priv[:], Accounts: []savedAccount{}}
	for _, a := range s.directory.sorted() {
		saved, err := saveAccount(a)
		if err != nil {
			return savedState{}, fmt.Errorf("account ending in %s: %w", lastDigits(a.number), err)
		}
		state.Accounts = append(state.Accounts, saved)
	}
	return state, nil
}

// writeFileAtomically replaces a file, so that a crash leaves the old one or the new one, never half of it.
func writeFileAtomically(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".simulator-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the first error tells more
		}
	}()
	if _, err = bytes.NewReader(data).WriteTo(file); err != nil {
		_ = file.Close()
		return err
	}
	if err = errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
