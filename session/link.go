package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
)

// link is one device of ours, with the library's client for it. A device that is not paired yet lives for one pairing
// round; after a log-out a new one is made. Its connection is opened and closed by the owner, one operation at a time.
type link struct {
	client *whatsmeow.Client
	wire   wire // the client
	guard  *guard

	requests requests // for messages again
	settling settling

	// The owner's.
	number Number // empty until paired
	device types.JID
	lid    types.JID
	busy   bool               // an operation on the connection runs
	cut    context.CancelFunc // ends the present connection or dial at once

	paired   atomic.Bool   // the link was made; a deletion then has a reason
	byUs     atomic.Bool   // a log-out of ours is running
	once     sync.Once     // of recorded
	recorded chan struct{} // closed when the reason of the link's end is kept
}

// wire is what the owner does with a connection. The library's client is one; tests of the owner put a double in its place.
type wire interface {
	ConnectContext(ctx context.Context) error
	Disconnect()
	ResetConnection() // cuts; with the library's own reconnecting off it does no more
	IsConnected() bool
}

// recordPatience bounds how long the deletion of a device waits for its reason to be kept.
const recordPatience = 5 * time.Second

// loadLink returns the link that was kept, or nil.
func (a *Account) loadLink(ctx context.Context, own Number) (*link, error) {
	devices, err := a.container.GetAllDevices(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	device, err := chooseDevice(devices, own)
	if err != nil || device == nil {
		return nil, err
	}
	if len(devices) > 1 {
		a.log.Warn("there are keys of several linked devices; the latest one of the account's number is used",
			"devices", len(devices), "device", device.ID.Device)
	}
	l := a.newLink(device)
	l.guard.install(device)
	l.number, l.lid, l.device = Number(device.ID.User), device.LID.ToNonAD(), *device.ID
	l.paired.Store(true)
	return l, nil
}

// chooseDevice picks the device that the account is: the only one there is, or of several, which only a hand in the file can
// bring about, the latest link of the account's number: they come in the order in which they were made.
func chooseDevice(devices []*store.Device, own Number) (*store.Device, error) {
	if len(devices) == 1 {
		return devices[0], nil // also when its number waits to be confirmed
	}
	var chosen *store.Device
	for _, device := range devices {
		if Number(device.ID.User) == own {
			chosen = device
		}
	}
	if chosen == nil && len(devices) > 0 {
		return nil, fmt.Errorf("%w: there are %d linked devices, and none is of the account's number", ErrKeys, len(devices))
	}
	return chosen, nil
}

// freshLink returns a device that is not paired.
func (a *Account) freshLink() *link { return a.newLink(a.container.NewDevice()) }

// newLink makes the client of a device. Fields of the device may be read here, before the client is in use, and nowhere
// else: the library changes them without a lock.
func (a *Account) newLink(device *store.Device) *link {
	l := &link{guard: &guard{now: a.opts.Now, forget: a.forgetSent}, recorded: make(chan struct{}), cut: func() {}}
	device.Container = guardedContainer{a.container, l}
	l.client = whatsmeow.NewClient(device, module{a.library, "Client"})
	l.wire = l.client
	l.client.EnableAutoReconnect = false           // the owner reconnects, with limits
	l.client.DisableLoginAutoReconnect = true      // also when WhatsApp asks for it
	l.client.SynchronousAck = true                 // a message is acknowledged after it was observed
	l.client.EnableDecryptedEventBuffer = true     // decryption in one transaction: without, messages both ways at once get lost
	l.client.UseRetryMessageStore = true           // recipients may ask again after a restart of ours
	l.client.RefreshCAT = refuseCAT                // without, the library crashes when it is asked to
	l.client.ManualHistorySyncDownload = true      // readHistory does
	l.client.SetMaxParallelRetryReceiptHandling(1) // beforeRetry may drop a session that another answer would use
	l.client.PreRetryCallback = func(receipt *events.Receipt, message types.MessageID, count int, _ *waE2E.Message) bool {
		return a.beforeRetry(l, receipt, message, count)
	}
	a.dialer.equip(l.client)
	l.client.AddEventHandlerWithSuccessStatus(func(event any) bool { return a.handle(l, event) })
	return l
}

// refuseCAT answers WhatsApp's request to renew a token that only clients on Meta's other networks have.
func refuseCAT(context.Context) error { return errors.New("this client has no CAT") }

// handle routes one event of the library. False leaves a message unacknowledged.
func (a *Account) handle(l *link, event any) bool {
	switch event := event.(type) {
	case *events.Message:
		a.sawPhone(l, event.Info.MessageSource, event.Info.Timestamp)
		if offer := event.RawMessage.GetProtocolMessage().GetHistorySyncNotification(); offer != nil && event.Info.IsFromMe {
			a.readHistory(l, offer)
		}
		return a.received(l, event)
	case *events.UndecryptableMessage:
		if event.Info.IsFromMe {
			l.settling.garbled()
		}
	case *events.AppStateSyncComplete:
		if l.settling.synced(event.Name) {
			a.settled(l)
		}
	case *events.Receipt:
		a.sawPhone(l, event.MessageSource, event.Timestamp)
		return a.confirmed(l, event)
	case *events.QR, *events.PairSuccess, *events.PairError, *events.PairPasskeyRequest, *events.PairPasskeyConfirmation, *events.PairPasskeyError, *events.QRScannedWithoutMultidevice,
		*events.Connected, *events.Disconnected, *events.ManualLoginReconnect,
		*events.KeepAliveTimeout, *events.KeepAliveRestored,
		*events.StreamReplaced, *events.LoggedOut, *events.TemporaryBan, *events.ClientOutdated, *events.ConnectFailure,
		*events.CATRefreshError, *events.StreamError,
		*events.NotifyAccountReachoutTimelock:
		a.post(func(ctx context.Context, o *owner) { o.handle(ctx, l, event) })
	}
	return true
}

// sawPhone notes what the account's own phone sent: so it is alive.
func (a *Account) sawPhone(l *link, from types.MessageSource, at time.Time) {
	if !from.IsFromMe || from.Sender.Device != 0 {
		return
	}
	a.post(func(ctx context.Context, o *owner) {
		if o.link == l {
			o.phoneSeen(ctx, at)
		}
	})
}

// record lets a deletion of the device go on: its reason is kept.
func (l *link) record() { l.once.Do(func() { close(l.recorded) }) }

// awaitRecord waits until the reason of the link's end is kept, but not for ever.
func (l *link) awaitRecord(ctx context.Context) {
	if !l.paired.Load() || l.byUs.Load() {
		return
	}
	late := time.NewTimer(recordPatience)
	defer late.Stop()
	select {
	case <-l.recorded:
	case <-late.C:
	case <-ctx.Done():
	}
}
