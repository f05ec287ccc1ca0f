package simulator

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Entry is a message as a virtual device shows it. The same message may come more than once; it is shown once.
type Entry struct {
	ID         string `json:"id"`
	From       string `json:"from"`              // number of the sender
	FromDevice uint16 `json:"from_device"`       // the sender's device
	Device     uint16 `json:"device"`            // the device that decrypted it, 0 for the phone
	SentTo     string `json:"sent_to,omitempty"` // for the copy of a message that this account sent: the recipient's number
	// Kind is "text", the kind of its file, or "other" for what the simulator does not show. A change of a message that is not
	// here, such as a reaction to one that the account wrote itself, is a "reaction", "edit" or "revoke", and ReplyTo names
	// the message.
	Kind    string `json:"kind"`
	Text    string `json:"text,omitempty"`     // of a file: its caption
	File    *File  `json:"file,omitempty"`     // what came with it; Server.Content has the content
	ReplyTo string `json:"reply_to,omitempty"` // ID of the message it answers
	Edited  bool   `json:"edited,omitempty"`   // Text is the newest
	Revoked bool   `json:"revoked,omitempty"`  // deleted by its author: no text any more
	// Reactions are emojis by the number of who reacted.
	Reactions  map[string]string `json:"reactions,omitempty"`
	Duplicates int               `json:"duplicates"` // how often it came again under the same ID
	At         time.Time         `json:"at"`
}

// inbox is what one device has read, in order.
type inbox struct {
	entries []Entry
	byID    map[inboxKey]int
	changes map[inboxKey]struct{} // edits, revokes and reactions that were applied
}

// inboxKey is by what apps tell messages apart: chat, sender and ID.
type inboxKey struct{ from, sentTo, id string }

func newInbox() inbox { return inbox{byID: map[inboxKey]int{}, changes: map[inboxKey]struct{}{}} }

// add shows a message, or counts its repetition. It returns false for a repetition.
func (b *inbox) add(e Entry) bool {
	key := inboxKey{e.From, e.SentTo, e.ID}
	if at, known := b.byID[key]; known {
		b.entries[at].Duplicates++
		return false
	}
	b.byID[key] = len(b.entries)
	b.entries = append(b.entries, e)
	return true
}

// shows tells whether a message of somebody is here already.
func (b *inbox) shows(from, id string) bool {
	_, known := b.byID[inboxKey{from: from, id: id}]
	return known
}

// change applies a message that changes an older one. It is false when it came before. One whose target is not here is
// shown as an entry of its own, as apps keep a place for it.
func (b *inbox) change(e Entry, target string, apply func(*Entry)) bool {
	key := inboxKey{e.From, e.SentTo, e.ID}
	if _, known := b.changes[key]; known {
		return false
	}
	b.changes[key] = struct{}{}
	for i := range b.entries {
		if b.entries[i].ID == target {
			apply(&b.entries[i])
			return true
		}
	}
	e.ReplyTo = target
	return b.add(e)
}

// react sets or takes back somebody's reaction. Entries that were handed out keep the reactions they had.
func (e *Entry) react(who, emoji string) {
	reactions := maps.Clone(e.Reactions)
	if reactions == nil {
		reactions = map[string]string{}
	}
	reactions[who] = emoji
	if emoji == "" {
		delete(reactions, who)
	}
	e.Reactions = reactions
}

// Inbox returns what the virtual devices of an account show, the phone's messages first, each device's in the order they
// were decrypted.
func (s *Server) Inbox(number string) []Entry {
	var entries []Entry
	for _, d := range s.virtualDevices(number) {
		d.mu.Lock()
		entries = append(entries, d.inbox.entries...)
		d.mu.Unlock()
	}
	return entries
}

// WaitInbox returns once an account's inbox satisfies a condition, or with the context's error.
func (s *Server) WaitInbox(ctx context.Context, number string, satisfied func([]Entry) bool) error {
	return s.news.wait(ctx, func() bool { return satisfied(s.Inbox(number)) })
}

// ForgetSessions makes the virtual devices of an account lose all their Signal sessions, as a reinstalled app does: what is
// sent to them next they cannot open, and they ask for it again.
func (s *Server) ForgetSessions(number string) {
	for _, d := range s.virtualDevices(number) {
		d.forget()
	}
	s.changed()
}

// virtualDevices returns the Signal halves of an account that exist already, by device number.
func (s *Server) virtualDevices(number string) []*signalDevice {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.directory.byNumber[number]
	if a == nil {
		return nil
	}
	var devices []*signalDevice
	for _, id := range slices.Sorted(maps.Keys(a.devices)) {
		if signal := a.devices[id].signal; signal != nil {
			devices = append(devices, signal)
		}
	}
	return devices
}
