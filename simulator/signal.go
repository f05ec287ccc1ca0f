package simulator

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/signalerror"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
)

// The kinds of ciphertext, as the type attribute of an enc node names them. Source: encryptMessageForDevice of whatsmeow.
const (
	firstMessages = "pkmsg" // carries what the recipient needs to start a session; sent until the first answer
	inSession     = "msg"
)

// errReplay is a message whose key was used before. Apps drop it without a word.
var errReplay = errors.New("message was decrypted before")

// signalDevice is a virtual device's half of Signal: its keys, its sessions and what it has read. One goroutine at a time
// decrypts, in the order the messages came; the lock guards against senders. It is never held together with Server.mu by
// the one who wants Server.mu next.
type signalDevice struct {
	jobs jobQueue

	mu             sync.Mutex
	registrationID uint32
	identity       *keys.KeyPair
	signed         *keys.PreKey
	oneTime        map[uint32]*keys.PreKey
	lastPreKey     uint32
	sessions       map[string][]byte // serialized, so that a failed decryption leaves no half-changed session behind
	inbox          inbox
	written        []outgoing // for retry receipts
}

// newSignalDevice makes a device's keys. The phone's identity is the account's key, a companion has its own.
func newSignalDevice(identity *keys.KeyPair) *signalDevice {
	return &signalDevice{
		registrationID: randomUint32()%16380 + 1, // 14 bits, as Baileys makes them; whatsmeow's have 32
		identity:       identity,
		signed:         identity.CreateSignedPreKey(1),
		oneTime:        map[uint32]*keys.PreKey{},
		sessions:       map[string][]byte{},
		inbox:          newInbox(),
	}
}

// virtual returns the Signal half of a virtual device and makes it at first use, so that an idle account costs little. Nil
// for a linked client. Call with s.mu held.
func (s *Server) virtual(d *device) *signalDevice {
	if d.linked() {
		return nil
	}
	if d.signal == nil {
		key := d.account.key()
		if d.id != 0 {
			key = keys.NewKeyPair()
		}
		d.signal = newSignalDevice(key)
	}
	return d.signal
}

// address names the other side of a session: always by LID and device, whatever was on the wire. Clients move the sessions they
// have by number to the LID as soon as they know it (migrateSessionStore of whatsmeow).
func address(jid types.JID) *protocol.SignalAddress {
	return types.JID{User: jid.User, Device: jid.Device, Server: types.HiddenUserServer}.SignalAddress()
}

// bundle is what others need to start a session with a device.
type bundle struct {
	registrationID uint32
	identity       [32]byte
	signed         preKey
	signature      [64]byte
	oneTime        *preKey // nil when there is none left
}

// mintBundle returns a bundle with a one-time key that is handed out only once.
func (d *signalDevice) mintBundle() bundle {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastPreKey = d.lastPreKey%0xfffffe + 1 // three bytes on the wire
	one := keys.NewPreKey(d.lastPreKey)
	d.oneTime[one.KeyID] = one
	return bundle{
		registrationID: d.registrationID,
		identity:       *d.identity.Pub,
		signed:         preKey{id: d.signed.KeyID, public: *d.signed.Pub},
		signature:      *d.signed.Signature,
		oneTime:        &preKey{id: one.KeyID, public: *one.Pub},
	}
}

// signal is the form libsignal wants.
func (b bundle) signal(device uint16) *prekey.Bundle {
	id, key := optional.NewEmptyUint32(), ecc.ECPublicKeyable(nil)
	if b.oneTime != nil {
		id, key = optional.NewOptionalUint32(b.oneTime.id), ecc.NewDjbECPublicKey(b.oneTime.public)
	}
	return prekey.NewBundle(b.registrationID, uint32(device), id, b.signed.id, key,
		ecc.NewDjbECPublicKey(b.signed.public), b.signature, identity.NewKey(ecc.NewDjbECPublicKey(b.identity)))
}

// hasSession tells whether a message to a device needs no bundle.
func (d *signalDevice) hasSession(to types.JID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[address(to).String()] != nil
}

// encrypt encrypts for one device; with a bundle it starts a new session first. It returns ciphertext and its kind.
func (d *signalDevice) encrypt(ctx context.Context, to types.JID, plaintext []byte, with *bundle) ([]byte, string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	work := d.begin()
	builder := session.NewBuilderFromSignal(work, address(to), work.serializer)
	if with != nil {
		if err := builder.ProcessBundle(ctx, with.signal(to.Device)); err != nil {
			return nil, "", fmt.Errorf("start session: %w", err)
		}
	}
	sealed, err := session.NewCipher(builder, address(to)).Encrypt(ctx, pad(plaintext))
	if err != nil {
		return nil, "", fmt.Errorf("encrypt: %w", err)
	}
	work.commit()
	if sealed.Type() == protocol.PREKEY_TYPE {
		return sealed.Serialize(), firstMessages, nil
	}
	return sealed.Serialize(), inSession, nil
}

// decrypt opens a ciphertext and returns the plaintext without padding. Nothing changes when it fails.
func (d *signalDevice) decrypt(ctx context.Context, from types.JID, kind string, ciphertext []byte) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	work := d.begin()
	cipher := session.NewCipher(session.NewBuilderFromSignal(work, address(from), work.serializer), address(from))
	padded, err := open(ctx, cipher, work.serializer, kind, ciphertext)
	if err != nil {
		if errors.Is(err, signalerror.ErrOldCounter) {
			return nil, errReplay
		}
		return nil, err
	}
	plaintext, err := unpad(padded)
	if err != nil {
		return nil, err
	}
	work.commit()
	return plaintext, nil
}

func open(ctx context.Context, cipher *session.Cipher, serializer *serialize.Serializer, kind string, ciphertext []byte) ([]byte, error) {
	switch kind {
	case firstMessages:
		message, err := protocol.NewPreKeySignalMessageFromBytes(ciphertext, serializer.PreKeySignalMessage, serializer.SignalMessage)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		return cipher.DecryptMessage(ctx, message)
	case inSession:
		message, err := protocol.NewSignalMessageFromBytes(ciphertext, serializer.SignalMessage)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
		return cipher.Decrypt(ctx, message)
	default:
		return nil, fmt.Errorf("ciphertext of kind %q", kind)
	}
}

// forget drops all sessions, as a reinstalled app does.
func (d *signalDevice) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.sessions)
}

// pad adds 1 to 16 bytes, each equal to their number. Source: writeRandomPadMax16 of Baileys; padMessage of whatsmeow adds up to 15.
func pad(plaintext []byte) []byte {
	count := randomUint32()%16 + 1
	for range count {
		plaintext = append(plaintext, byte(count))
	}
	return plaintext
}

// unpad takes the padding off.
func unpad(padded []byte) ([]byte, error) {
	if len(padded) == 0 {
		return nil, errors.New("plaintext is empty")
	}
	count := int(padded[len(padded)-1])
	if count == 0 || count > 16 || count > len(padded) {
		return nil, fmt.Errorf("plaintext ends in a padding of %d bytes", count)
	}
	for _, b := range padded[len(padded)-count:] {
		if int(b) != count {
			return nil, errors.New("padding is not uniform")
		}
	}
	return padded[:len(padded)-count], nil
}
