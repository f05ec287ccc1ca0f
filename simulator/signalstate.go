package simulator

import (
	"fmt"
	"maps"
	"slices"

	"go.mau.fi/whatsmeow/util/keys"
)

// signalState is a virtual device in the state file.
type signalState struct {
	RegistrationID uint32            `json:"registration_id"`
	Identity       []byte            `json:"identity"` // private key
	Signed         privatePreKey     `json:"signed"`
	Signature      []byte            `json:"signature"`
	OneTime        []privatePreKey   `json:"one_time,omitempty"`
	LastPreKey     uint32            `json:"last_prekey"`
	Sessions       map[string][]byte `json:"sessions,omitempty"`
	Written        []outgoing        `json:"written,omitempty"`
	Inbox          []Entry           `json:"inbox,omitempty"`
}

type privatePreKey struct {
	ID      uint32 `json:"id"`
	Private []byte `json:"private"`
}

// export copies the device for the state file.
func (d *signalDevice) export() signalState {
	d.mu.Lock()
	defer d.mu.Unlock()
	state := signalState{
		RegistrationID: d.registrationID,
		Identity:       slices.Clone(d.identity.Priv[:]),
		Signed:         privatePreKey{d.signed.KeyID, slices.Clone(d.signed.Priv[:])},
		Signature:      slices.Clone(d.signed.Signature[:]),
		LastPreKey:     d.lastPreKey,
		Sessions:       maps.Clone(d.sessions),
		Written:        slices.Clone(d.written),
		Inbox:          slices.Clone(d.inbox.entries),
	}
	for _, id := range slices.Sorted(maps.Keys(d.oneTime)) {
		state.OneTime = append(state.OneTime, privatePreKey{id, slices.Clone(d.oneTime[id].Priv[:])})
	}
	return state
}

// importSignal makes a device of its saved state.
func importSignal(state signalState) (*signalDevice, error) {
	identity, err := restoreKey(state.Identity)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	signed, err := state.Signed.restore()
	if err != nil {
		return nil, fmt.Errorf("signed prekey: %w", err)
	}
	if len(state.Signature) != 64 {
		return nil, fmt.Errorf("signed prekey: signature of %d bytes", len(state.Signature))
	}
	signed.Signature = (*[64]byte)(slices.Clone(state.Signature))
	d := &signalDevice{
		registrationID: state.RegistrationID, identity: identity, signed: signed, lastPreKey: state.LastPreKey,
		oneTime: map[uint32]*keys.PreKey{}, sessions: map[string][]byte{}, written: state.Written, inbox: newInbox(),
	}
	maps.Copy(d.sessions, state.Sessions)
	for _, saved := range state.OneTime {
		if d.oneTime[saved.ID], err = saved.restore(); err != nil {
			return nil, fmt.Errorf("prekey %d: %w", saved.ID, err)
		}
	}
	for _, entry := range state.Inbox {
		d.inbox.add(entry)
	}
	for i, entry := range state.Inbox {
		d.inbox.entries[i].Duplicates = entry.Duplicates
	}
	return d, nil
}

func (k privatePreKey) restore() (*keys.PreKey, error) {
	pair, err := restoreKey(k.Private)
	if err != nil {
		return nil, err
	}
	return &keys.PreKey{KeyPair: *pair, KeyID: k.ID}, nil
}
