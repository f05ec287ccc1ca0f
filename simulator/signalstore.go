package simulator

import (
	"context"
	"errors"
	"maps"

	"go.mau.fi/libsignal/ecc"
	groups "go.mau.fi/libsignal/groups/state/store"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/state/store"
	"go.mau.fi/whatsmeow/util/keys"
)

// errUnused is returned by the parts of libsignal's store that direct chats do not need.
var errUnused = errors.New("not kept by the simulator")

// signalWork is one encryption or decryption: what it changes reaches the device with commit, or not at all. It is the
// store that libsignal sees.
type signalWork struct {
	groups.SenderKey // groups are not simulated: nothing calls it
	device           *signalDevice
	serializer       *serialize.Serializer
	sessions         map[string][]byte
	spent            []uint32
}

var _ store.SignalProtocol = (*signalWork)(nil)

// begin starts work on a device. Call with its lock held.
func (d *signalDevice) begin() *signalWork {
	return &signalWork{device: d, serializer: serialize.NewProtoBufSerializer(), sessions: map[string][]byte{}}
}

// commit makes the changes last.
func (w *signalWork) commit() {
	maps.Copy(w.device.sessions, w.sessions)
	for _, id := range w.spent {
		delete(w.device.oneTime, id)
	}
}

// GetIdentityKeyPair implements store.IdentityKey.
func (w *signalWork) GetIdentityKeyPair() *identity.KeyPair {
	key := w.device.identity
	return identity.NewKeyPair(identity.NewKey(ecc.NewDjbECPublicKey(*key.Pub)), ecc.NewDjbECPrivateKey(*key.Priv))
}

// GetLocalRegistrationID implements store.IdentityKey.
func (w *signalWork) GetLocalRegistrationID() uint32 { return w.device.registrationID }

// SaveIdentity implements store.IdentityKey. Identities are checked where devices are linked, not here.
func (w *signalWork) SaveIdentity(context.Context, *protocol.SignalAddress, *identity.Key) error {
	return nil
}

// IsTrustedIdentity implements store.IdentityKey.
func (w *signalWork) IsTrustedIdentity(context.Context, *protocol.SignalAddress, *identity.Key) (bool, error) {
	return true, nil
}

// LoadPreKey implements store.PreKey. A key that was spent is not found.
func (w *signalWork) LoadPreKey(_ context.Context, id uint32) (*record.PreKey, error) {
	key := w.device.oneTime[id]
	if key == nil {
		return nil, nil
	}
	return record.NewPreKey(id, keyPair(key.KeyPair), nil), nil
}

// StorePreKey implements store.PreKey.
func (w *signalWork) StorePreKey(context.Context, uint32, *record.PreKey) error { return errUnused }

// ContainsPreKey implements store.PreKey.
func (w *signalWork) ContainsPreKey(_ context.Context, id uint32) (bool, error) {
	return w.device.oneTime[id] != nil, nil
}

// RemovePreKey implements store.PreKey.
func (w *signalWork) RemovePreKey(_ context.Context, id uint32) error {
	w.spent = append(w.spent, id)
	return nil
}

// LoadSession implements store.Session.
func (w *signalWork) LoadSession(_ context.Context, address *protocol.SignalAddress) (*record.Session, error) {
	serialized, ok := w.sessions[address.String()]
	if !ok {
		serialized, ok = w.device.sessions[address.String()]
	}
	if !ok {
		return record.NewSession(w.serializer.Session, w.serializer.State), nil
	}
	return record.NewSessionFromBytes(serialized, w.serializer.Session, w.serializer.State)
}

// GetSubDeviceSessions implements store.Session.
func (w *signalWork) GetSubDeviceSessions(context.Context, string) ([]uint32, error) {
	return nil, errUnused
}

// StoreSession implements store.Session.
func (w *signalWork) StoreSession(_ context.Context, address *protocol.SignalAddress, r *record.Session) error {
	session := r.Serialize()
	if before, ok := w.device.sessions[address.String()]; ok {
		var err error
		if session, err = keepOtherStates(w.serializer.Session, before, session); err != nil {
			return err
		}
	}
	w.sessions[address.String()] = session
	return nil
}

// ContainsSession implements store.Session.
func (w *signalWork) ContainsSession(_ context.Context, address *protocol.SignalAddress) (bool, error) {
	_, changed := w.sessions[address.String()]
	return changed || w.device.sessions[address.String()] != nil, nil
}

// DeleteSession implements store.Session.
func (w *signalWork) DeleteSession(context.Context, *protocol.SignalAddress) error { return errUnused }

// DeleteAllSessions implements store.Session.
func (w *signalWork) DeleteAllSessions(context.Context) error { return errUnused }

// LoadSignedPreKey implements store.SignedPreKey.
func (w *signalWork) LoadSignedPreKey(_ context.Context, id uint32) (*record.SignedPreKey, error) {
	key := w.device.signed
	if id != key.KeyID {
		return nil, nil
	}
	return record.NewSignedPreKey(id, 0, keyPair(key.KeyPair), *key.Signature, nil), nil
}

// LoadSignedPreKeys implements store.SignedPreKey.
func (w *signalWork) LoadSignedPreKeys(context.Context) ([]*record.SignedPreKey, error) {
	return nil, errUnused
}

// StoreSignedPreKey implements store.SignedPreKey.
func (w *signalWork) StoreSignedPreKey(context.Context, uint32, *record.SignedPreKey) error {
	return errUnused
}

// ContainsSignedPreKey implements store.SignedPreKey.
func (w *signalWork) ContainsSignedPreKey(_ context.Context, id uint32) (bool, error) {
	return id == w.device.signed.KeyID, nil
}

// RemoveSignedPreKey implements store.SignedPreKey.
func (w *signalWork) RemoveSignedPreKey(context.Context, uint32) error { return errUnused }

func keyPair(pair keys.KeyPair) *ecc.ECKeyPair {
	return ecc.NewECKeyPair(ecc.NewDjbECPublicKey(*pair.Pub), ecc.NewDjbECPrivateKey(*pair.Priv))
}
