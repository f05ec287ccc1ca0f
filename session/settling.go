package session

import (
	"context"
	"sync"

	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waE2E"
)

// settling watches what a phone shares with a device that it just linked, and knows when all of it is here. Without the privacy
// tokens in the history and the salt in the app state WhatsApp is likelier to refuse a first message. It lasts as long as the
// process: a link that was made before a restart is never found settled, unless all of it comes after.
type settling struct {
	mu      sync.Mutex
	chats   bool // the first piece of the history, with the list of chats, is announced
	last    bool // and the last piece
	unread  int  // pieces that are announced and not read yet
	lost    bool // something could not be read: what was announced is not known for certain
	fetched map[appstate.WAPatchName]bool
	over    bool
}

// offered notes that the phone announced a piece of the history, which it does in order. Of a piece that is left out on purpose
// nothing is waited for. The first piece is never the last, whatever progress it tells (mautrix/whatsapp#469): after it come pieces
// of recent chats, and with a hundred percent no more that we read.
func (s *settling) offered(offer *waE2E.HistorySyncNotification, wanted bool) (settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if wanted {
		s.unread++
	}
	switch offer.GetSyncType() {
	case waE2E.HistorySyncType_INITIAL_BOOTSTRAP:
		s.chats = s.chats || wanted
	case waE2E.HistorySyncType_RECENT, waE2E.HistorySyncType_FULL:
		s.last = s.last || offer.GetProgress() >= 100
	}
	return s.end()
}

// garbled notes that a message of the phone could not be opened. It may have announced something, and may come again late.
func (s *settling) garbled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = true
}

// read notes that a piece that was wanted was read, or could not be.
func (s *settling) read(err error) (settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unread--
	s.lost = s.lost || err != nil
	return s.end()
}

// synced notes that a collection of the app state was fetched as a whole.
func (s *settling) synced(name appstate.WAPatchName) (settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fetched == nil {
		s.fetched = map[appstate.WAPatchName]bool{}
	}
	s.fetched[name] = true
	return s.end()
}

// end is true once, when all is here. What was never announced is not here. Call with s.mu held.
func (s *settling) end() bool {
	if s.over || !s.chats || !s.last || s.unread > 0 || s.lost {
		return false
	}
	for _, name := range appstate.AllPatchNames {
		if !s.fetched[name] {
			return false
		}
	}
	s.over = true
	return true
}

// settled has the owner tell that all a phone shares with a device it just linked is here.
func (a *Account) settled(l *link) {
	a.post(func(_ context.Context, o *owner) { o.settled = l })
}

// tellSettled tells it, but not before the pairing itself.
func (o *owner) tellSettled(ctx context.Context) {
	if o.settled == nil || o.settled == o.link && o.round.State == PairingConfirm {
		return
	}
	if o.settled == o.link {
		o.a.log.Info("what the phone shares with a new device is here")
		o.tell(ctx, Settled{Account: o.a.opts.Account})
	}
	o.settled = nil
}
