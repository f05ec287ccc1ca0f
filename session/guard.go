package session

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// guard watches what the library does to its store during a send. The library skips every device it cannot encrypt for,
// sends the rest, and reports success; with nobody left it sends an empty list. So a message counts as sent only when a
// session with the recipient's phone was written during the send and nothing about that phone failed.
//
// Sends of one client are serial, and nothing else writes many sessions at once, so what is seen belongs to the send.
type guard struct {
	mu     sync.Mutex
	active bool
	wrote  map[string]bool // addresses whose session was written
	failed map[string]error
}

// begin starts watching a send.
func (g *guard) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active, g.wrote, g.failed = true, map[string]bool{}, map[string]error{}
}

// end stops watching and reports whether a copy for one of these addresses is in the message, or why not.
func (g *guard) end(addresses []string) (copied bool, failure error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active = false
	for _, address := range addresses {
		if err := g.failed[address]; err != nil {
			return false, err
		}
		copied = copied || g.wrote[address]
	}
	return copied, nil
}

// saw notes that something about an address failed.
func (g *guard) saw(address string, err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.active {
		g.failed[address] = err
	}
}

// sawWritten notes which sessions a send wrote, or could not write.
func (g *guard) sawWritten(sessions map[string][]byte, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.active {
		return
	}
	for address := range sessions {
		if err != nil {
			g.failed[address] = err
		} else {
			g.wrote[address] = true
		}
	}
}

// phoneAddresses are the names under which the library may keep its session with a recipient's phone, device 0.
func phoneAddresses(jids ...types.JID) []string {
	var addresses []string
	for _, jid := range jids {
		if !jid.IsEmpty() {
			addresses = append(addresses, jid.ToNonAD().SignalAddress().String())
		}
	}
	return addresses
}

// watchedSessions is the library's session store under watch.
type watchedSessions struct {
	store.SessionStore
	guard *guard
}

// GetSession implements store.SessionStore.
func (s watchedSessions) GetSession(ctx context.Context, address string) ([]byte, error) {
	session, err := s.SessionStore.GetSession(ctx, address)
	s.guard.saw(address, err)
	return session, err
}

// GetManySessions implements store.SessionStore.
func (s watchedSessions) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	sessions, err := s.SessionStore.GetManySessions(ctx, addresses)
	for _, address := range addresses {
		s.guard.saw(address, err)
	}
	return sessions, err
}

// PutSession implements store.SessionStore.
func (s watchedSessions) PutSession(ctx context.Context, address string, session []byte) error {
	err := s.SessionStore.PutSession(ctx, address, session)
	s.guard.saw(address, err)
	return err
}

// PutManySessions implements store.SessionStore. Only sends use it.
func (s watchedSessions) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	err := s.SessionStore.PutManySessions(ctx, sessions)
	s.guard.sawWritten(sessions, err)
	return err
}

// watchedIdentities is the library's identity store under watch: the session with a new contact is written before its
// identity is, so that a failure here loses the copy although the session stands.
type watchedIdentities struct {
	store.IdentityStore
	guard *guard
}

// PutIdentity implements store.IdentityStore.
func (s watchedIdentities) PutIdentity(ctx context.Context, address string, key [32]byte) error {
	err := s.IdentityStore.PutIdentity(ctx, address, key)
	s.guard.saw(address, err)
	return err
}

// IsTrustedIdentity implements store.IdentityStore.
func (s watchedIdentities) IsTrustedIdentity(ctx context.Context, address string, key [32]byte) (bool, error) {
	trusted, err := s.IdentityStore.IsTrustedIdentity(ctx, address, key)
	s.guard.saw(address, err)
	return trusted, err
}

// watchedContainer is where a device's stores come from. A device that has not paired yet has none; the first save after
// pairing makes them, and here they are put under watch before anything uses them.
type watchedContainer struct {
	store.DeviceContainer
	guard *guard
	ended <-chan struct{} // closed once the reason of the link's end is kept
}

// endPatience bounds the wait for a reason to be kept before the library may delete the device it belongs to.
const endPatience = 2 * time.Second

// PutDevice implements store.DeviceContainer.
func (c watchedContainer) PutDevice(ctx context.Context, device *store.Device) error {
	if err := c.DeviceContainer.PutDevice(ctx, device); err != nil {
		return err
	}
	if _, watched := device.Sessions.(watchedSessions); !watched {
		c.watch(device)
	}
	return nil
}

// DeleteDevice implements store.DeviceContainer. The library deletes the device of an ended session right away; why it
// ended must be on disk first.
func (c watchedContainer) DeleteDevice(ctx context.Context, device *store.Device) error {
	select {
	case <-c.ended:
	case <-time.After(endPatience):
	}
	return c.DeviceContainer.DeleteDevice(ctx, device)
}

// watch puts a device's stores under watch.
func (c watchedContainer) watch(device *store.Device) {
	device.Sessions = watchedSessions{device.Sessions, c.guard}
	device.Identities = watchedIdentities{device.Identities, c.guard}
}
