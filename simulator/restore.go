package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/util/keys"
)

func saveAccount(a *account) (savedAccount, error) {
	saved := savedAccount{
		Number: a.number, LID: a.lid, Name: a.name, About: a.about, Registered: a.registered,
		NextDevice: a.nextDevice, KeyIndex: a.keyIndex, Behaviour: a.behaviour,
		Aliases: a.aliases, Identities: a.identities, Limits: a.limits, Passkey: a.passkey, Sync: a.sync, AppState: a.appState.save(), Away: a.away, Tokens: maps.Clone(a.tokens),
		PreKeys: a.preKeysLeft,
	}
	if a.chats != nil {
		saved.Chats = map[string]savedChat{}
		for number, c := range a.chats {
			saved.Chats[number] = savedChat{Wrote: c.wrote, Reached: c.reached}
		}
	}
	if a.identity != nil {
		saved.Identity = a.identity.Priv[:]
	}
	for id := range a.nextDevice {
		d := a.devices[id]
		if d == nil {
			continue
		}
		device, err := saveDevice(d)
		if err != nil {
			return savedAccount{}, fmt.Errorf("device %d: %w", id, err)
		}
		if id != 0 || device.Signal != nil {
			saved.Devices = append(saved.Devices, device)
		}
	}
	return saved, nil
}

func saveDevice(d *device) (savedDevice, error) {
	saved := savedDevice{ID: d.id, KeyIndex: d.keyIndex, Synced: d.synced}
	if d.signal != nil {
		state := d.signal.export()
		saved.Signal = &state
	}
	if d.linked() {
		saved.Linked = saveLink(d)
	}
	for _, w := range d.waiting {
		node, err := waBinary.Marshal(w.node)
		if err != nil {
			return savedDevice{}, fmt.Errorf("waiting stanza: %w", err)
		}
		saved.Waiting = append(saved.Waiting, savedWaiting{Key: w.key, Node: node})
	}
	return saved, nil
}

func saveLink(d *device) *savedLink {
	link := &savedLink{
		NoiseKey: d.noiseKey[:], IdentityKey: d.identityKey[:],
		Identity: d.identitySigned, LinkedAt: d.linkedAt,
		RegistrationID: d.prekeys.registrationID, SignedPreKey: savePreKey(d.prekeys.signed), Signature: slices.Clone(d.prekeys.signature[:]),
	}
	for _, key := range d.prekeys.oneTime {
		link.PreKeys = append(link.PreKeys, savePreKey(key))
	}
	return link
}

func savePreKey(key preKey) savedPreKey {
	return savedPreKey{ID: key.id, Public: slices.Clone(key.public[:])}
}

func (saved *savedAccount) restore() (*account, error) {
	if err := checkNumber(saved.Number); err != nil {
		return nil, err
	}
	a := &account{
		number: saved.Number, lid: saved.LID, name: saved.Name, about: saved.About, registered: saved.Registered,
		nextDevice: max(1, saved.NextDevice), keyIndex: saved.KeyIndex, behaviour: saved.Behaviour,
		aliases: saved.Aliases, identities: saved.Identities, limits: saved.Limits, passkey: saved.Passkey, sync: saved.Sync, away: saved.Away, tokens: saved.Tokens,
		preKeysLeft: saved.PreKeys,
		devices:     map[uint16]*device{},
	}
	for number, c := range saved.Chats {
		if a.chats == nil {
			a.chats = map[string]chat{}
		}
		a.chats[number] = chat{wrote: c.Wrote, reached: c.Reached}
	}
	a.devices[0] = &device{account: a}
	var err error
	if a.appState, err = saved.AppState.restore(); err != nil {
		return nil, fmt.Errorf("app state: %w", err)
	}
	if saved.Identity != nil {
		key, err := restoreKey(saved.Identity)
		if err != nil {
			return nil, fmt.Errorf("account key: %w", err)
		}
		a.identity = key
	}
	for i := range saved.Devices {
		d, err := saved.Devices[i].restore(a)
		if err != nil {
			return nil, fmt.Errorf("device %d: %w", saved.Devices[i].ID, err)
		}
		a.devices[d.id] = d
	}
	return a, nil
}

func (saved *savedDevice) restore(a *account) (*device, error) {
	d := &device{account: a, id: saved.ID, keyIndex: saved.KeyIndex, synced: saved.Synced}
	if saved.Signal != nil {
		signal, err := importSignal(*saved.Signal)
		if err != nil {
			return nil, fmt.Errorf("signal state: %w", err)
		}
		d.signal = signal
	}
	if saved.Linked != nil {
		if err := saved.Linked.restore(d); err != nil {
			return nil, err
		}
	}
	for _, w := range saved.Waiting {
		node, err := decodeNode(w.Node)
		if err != nil {
			return nil, fmt.Errorf("waiting stanza: %w", err)
		}
		d.waiting = append(d.waiting, &waiting{key: w.Key, node: *node})
	}
	return d, nil
}

func (saved *savedLink) restore(d *device) error {
	if len(saved.NoiseKey) != 32 || len(saved.IdentityKey) != 32 || len(saved.Signature) != 64 || len(saved.Identity) == 0 {
		return errors.New("a key of the linked device has a wrong length")
	}
	d.noiseKey, d.identityKey = [32]byte(saved.NoiseKey), [32]byte(saved.IdentityKey)
	d.identitySigned, d.linkedAt = saved.Identity, saved.LinkedAt
	d.prekeys = prekeys{registrationID: saved.RegistrationID, signature: [64]byte(saved.Signature)}
	var err error
	if d.prekeys.signed, err = saved.SignedPreKey.restore(); err != nil {
		return err
	}
	for _, key := range saved.PreKeys {
		restored, err := key.restore()
		if err != nil {
			return err
		}
		d.prekeys.oneTime = append(d.prekeys.oneTime, restored)
	}
	return nil
}

func (saved savedPreKey) restore() (preKey, error) {
	if len(saved.Public) != 32 {
		return preKey{}, errors.New("a prekey has a wrong length")
	}
	return preKey{id: saved.ID, public: [32]byte(saved.Public)}, nil
}

func restoreKey(private []byte) (*keys.KeyPair, error) {
	if len(private) != 32 {
		return nil, errors.New("a private key has a wrong length")
	}
	return keys.NewKeyPairFromPrivateKey([32]byte(private)), nil
}

// save copies the app state for the state file; nil stays nil.
func (st *appState) save() *savedAppState {
	if st == nil {
		return nil
	}
	saved := &savedAppState{KeyID: st.keyID, Key: st.key, Salt: st.salt, Collections: map[string][][]byte{}}
	for name, c := range st.collections {
		saved.Collections[name] = slices.Clone(c.patches)
	}
	return saved
}

// restore makes an app state of its saved form, checking every patch.
func (saved *savedAppState) restore() (*appState, error) {
	if saved == nil {
		return nil, nil
	}
	st := &appState{keyID: saved.KeyID, key: saved.Key, salt: saved.Salt}
	for name, patches := range saved.Collections {
		for _, patch := range patches {
			if err := st.take(name, patch); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return st, nil
}
