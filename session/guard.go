package session

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// guard finds out whether a send had a copy for its recipient's phone in it. The library reports success although it skips
// every device it could not encrypt for: when keys cannot be fetched, when the key store fails, or when WhatsApp's list of
// devices leaves one out. A copy went out if the phone's Signal session was saved by the save that only sends use, and no
// call of the key store for that phone failed meanwhile: a new session is saved even if its identity key was not.
//
// Sends must be one at a time, as they are in the library.
type guard struct {
	sessions store.SessionStore // the real one
	tokens   *tokens
	events   store.EventBuffer // the real one
	buffer   store.EventBuffer // the same, under the eyes of the guard
	turn     *turn
	now      func() time.Time
	forget   func(context.Context) error // deletes old sent messages; nil leaves that to the library

	mu      sync.Mutex
	address string // whose calls are watched; empty between sends
	saved   time.Time
	failed  error             // the first failure
	loaded  map[string][]byte // the sessions that the present send began with
	unsaved *sentMessage      // what the present send sends, until its sessions are saved
}

// errSessionMoved ends a send before its stanza is made: a message from the recipient came in between the moment the send
// loaded the Signal sessions and the moment it saved them. Saving would take back the step that this message made, and from
// then on neither side could read the other.
var errSessionMoved = errors.New("a message that came in moved the session meanwhile")

// watch begins a send to a phone, by its Signal address.
func (g *guard) watch(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.address, g.saved, g.failed, g.unsaved = address, time.Time{}, nil, nil
}

// verdict ends the send and says when the phone got a copy: zero for never. Then cause is what failed, as far as it is known.
func (g *guard) verdict() (copied time.Time, cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.address, g.unsaved = "", nil
	if g.failed != nil {
		return time.Time{}, g.failed
	}
	return g.saved, nil
}

// called notes a call of the key store and passes its error on.
func (g *guard) called(err error, addresses ...string) error {
	if err == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, address := range addresses {
		if address == g.address && g.failed == nil {
			g.failed = err
		}
	}
	return err
}

// began notes the sessions that a send loaded.
func (g *guard) began(sessions map[string][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loaded = maps.Clone(sessions) // the library changes the map, not what is in it
}

// moved tells whether sessions are not what the send began with.
func (g *guard) moved(present map[string][]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for address, session := range present {
		if !bytes.Equal(session, g.loaded[address]) {
			return true
		}
	}
	return false
}

// wrote notes the save that ends the encryption of a send.
func (g *guard) wrote(sessions map[string][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := sessions[g.address]; ok {
		g.saved = g.now()
	}
}

// endStep gives the turn back that a step with a session began with.
func (g *guard) endStep(ctx context.Context, address string) {
	if !isJoined(ctx) {
		g.turn.ended(address)
	}
}

// install puts the guard between the library and a device's stores, unless it is there. The device must not be in use.
func (g *guard) install(device *store.Device) {
	if _, there := device.Sessions.(guardedSessions); there || device.Sessions == nil {
		return
	}
	g.sessions, g.events, g.turn = device.Sessions, device.EventBuffer, newTurn()
	g.buffer = guardedBuffer{sentBuffer{g.events, g}, g.turn}
	device.EventBuffer = g.buffer
	device.Sessions = guardedSessions{device.Sessions, g}
	device.Identities = guardedIdentities{device.Identities, g}
	device.MsgSecrets = noSecrets{device.MsgSecrets}
	g.tokens = &tokens{PrivacyTokenStore: device.PrivacyTokens}
	device.PrivacyTokens = g.tokens
}

// guardedSessions is a session store under the eyes of a guard.
type guardedSessions struct {
	store.SessionStore
	guard *guard
}

// GetSession implements store.SessionStore. It begins a step.
func (s guardedSessions) GetSession(ctx context.Context, address string) ([]byte, error) {
	if !isJoined(ctx) {
		if err := s.guard.turn.take(ctx, address); err != nil {
			return nil, err
		}
	}
	session, err := s.SessionStore.GetSession(ctx, address)
	if err != nil {
		s.guard.endStep(ctx, address)
	}
	return session, s.guard.called(err, address)
}

// HasSession implements store.SessionStore.
func (s guardedSessions) HasSession(ctx context.Context, address string) (bool, error) {
	has, err := s.SessionStore.HasSession(ctx, address)
	return has, s.guard.called(err, address)
}

// GetManySessions implements store.SessionStore. Of all the library does, only sends call it.
func (s guardedSessions) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	sessions, err := s.SessionStore.GetManySessions(ctx, addresses)
	s.guard.began(sessions)
	return sessions, s.guard.called(err, addresses...)
}

// PutSession implements store.SessionStore. It ends a step.
func (s guardedSessions) PutSession(ctx context.Context, address string, session []byte) error {
	defer s.guard.endStep(ctx, address)
	before, err := s.SessionStore.GetSession(ctx, address)
	if err == nil && before != nil {
		session, err = keepOtherStates(store.SignalProtobufSerializer.Session, before, session)
	}
	if err == nil {
		err = s.SessionStore.PutSession(ctx, address, session)
	}
	return s.guard.called(err, address)
}

// PutManySessions implements store.SessionStore. Of all the library does, only sends call it. In one transaction it saves
// the sessions if they are still what the send began with (decryption has transactions of its own), and the message with them.
func (s guardedSessions) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	addresses := slices.Collect(maps.Keys(sessions))
	err := s.guard.buffer.DoDecryptionTxn(ctx, func(ctx context.Context) error {
		present, err := s.SessionStore.GetManySessions(ctx, addresses)
		if err != nil {
			return err
		}
		if s.guard.moved(present) {
			return errSessionMoved
		}
		if err := s.SessionStore.PutManySessions(ctx, sessions); err != nil {
			return err
		}
		return s.guard.saveSent(ctx)
	})
	if err != nil {
		return s.guard.called(err, addresses...)
	}
	s.guard.wrote(sessions)
	return nil
}

// DeleteSession implements store.SessionStore.
func (s guardedSessions) DeleteSession(ctx context.Context, address string) error {
	return s.guard.called(s.SessionStore.DeleteSession(ctx, address), address)
}

// guardedIdentities is an identity store under the eyes of a guard.
type guardedIdentities struct {
	store.IdentityStore
	guard *guard
}

// PutIdentity implements store.IdentityStore. An error ends a step.
func (s guardedIdentities) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	err := s.IdentityStore.PutIdentity(ctx, address, key)
	if err != nil {
		s.guard.endStep(ctx, address)
	}
	return s.guard.called(err, address)
}

// DeleteIdentity implements store.IdentityStore.
func (s guardedIdentities) DeleteIdentity(ctx context.Context, address string) error {
	return s.guard.called(s.IdentityStore.DeleteIdentity(ctx, address), address)
}

// IsTrustedIdentity implements store.IdentityStore. A key that is not trusted ends a step.
func (s guardedIdentities) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (bool, error) {
	trusted, err := s.IdentityStore.IsTrustedIdentity(ctx, address, key)
	if err != nil || !trusted {
		s.guard.endStep(ctx, address)
	}
	return trusted, s.guard.called(err, address)
}

// guardedContainer is where a device of ours saves and deletes itself. Pairing replaces all stores of a device with its
// first save, so the guard is put in again right behind it, before anything uses them.
type guardedContainer struct {
	store.DeviceContainer
	link *link
}

// PutDevice implements store.DeviceContainer.
func (c guardedContainer) PutDevice(ctx context.Context, device *store.Device) error {
	err := c.DeviceContainer.PutDevice(ctx, device)
	c.link.guard.install(device)
	if device.Container != c { // later saves may come from several goroutines of the library at once
		device.Container = c
	}
	return err
}

// DeleteDevice implements store.DeviceContainer. The library deletes a device as soon as WhatsApp ended the link: that waits
// until the reason is kept.
func (c guardedContainer) DeleteDevice(ctx context.Context, device *store.Device) error {
	c.link.awaitRecord(ctx)
	return c.DeviceContainer.DeleteDevice(context.WithoutCancel(ctx), device)
}

// phoneAddress is the Signal address of a user's phone.
func phoneAddress(user types.JID) string { return user.ToNonAD().SignalAddress().String() }
