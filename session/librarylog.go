package session

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// libraryLog is whatsmeow's way into our log. It counts lines per level, hides numbers, and drops debug lines altogether:
// they hold whole stanzas, pairing codes among them. It also sees every stanza pass, which is how we know when WhatsApp
// last answered: the library tells nobody.
type libraryLog struct {
	log    *slog.Logger
	now    func() time.Time
	counts [4]atomic.Int64 // by level

	quota func(Quota) // told of each one that comes in; must not wait

	lastAnswer atomic.Int64 // unix nanoseconds of the last stanza that came in
	roundTrip  atomic.Int64 // nanoseconds between the last ping and its answer
	parted     atomic.Int64 // the number of the last stream error or failure; 0 for none

	mu       sync.Mutex
	pingID   string
	pinged   time.Time
	activeID string  // of the request for messages and receipts, until WhatsApp granted it
	send     passage // of the message that is being sent
}

// passage is when a message passed the connection.
type passage struct {
	id             MessageID // empty between sends
	written, acked time.Time
	otherDevices   bool
}

// follow begins to watch for a message on the connection.
func (l *libraryLog) follow(id MessageID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.send = passage{id: id}
}

// passed ends the watch and returns what was seen.
func (l *libraryLog) passed() passage {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.send
	l.send = passage{}
	return seen
}

// The levels of whatsmeow's log.
const (
	levelDebug = iota
	levelInfo
	levelWarn
	levelError
)

func newLibraryLog(log *slog.Logger, now func() time.Time) *libraryLog {
	return &libraryLog{log: log, now: now}
}

// levels returns how many lines of each level there were.
func (l *libraryLog) levels() map[string]int {
	counts := map[string]int{}
	for level, name := range []string{"debug", "info", "warn", "error"} {
		counts[name] = int(l.counts[level].Load())
	}
	return counts
}

// answered returns when the last stanza came in, zero for never.
func (l *libraryLog) answered() time.Time {
	if at := l.lastAnswer.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// parting returns the number with which WhatsApp ended the connection, 0 for none, and forgets it.
func (l *libraryLog) parting() int { return int(l.parted.Swap(0)) }

// deaf tells whether WhatsApp did not grant the request to be sent messages and receipts, which every client makes after its
// login. The library goes on without. It forgets the request.
func (l *libraryLog) deaf() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.activeID != ""
	l.activeID = ""
	return asked
}

// sent sees a stanza leave.
func (l *libraryLog) sent(node *waBinary.Node) {
	id, _ := node.Attrs["id"].(string)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case node.Tag == "iq" && node.Attrs["xmlns"] == "w:p":
		l.pingID, l.pinged = id, l.now()
	case node.Tag == "iq" && node.Attrs["xmlns"] == "passive":
		l.activeID = id
	case node.Tag == "message" && id != "" && id == string(l.send.id):
		l.send.written = l.now()
	}
}

// received sees a stanza come in.
func (l *libraryLog) received(node *waBinary.Node) {
	now := l.now()
	l.lastAnswer.Store(now.UnixNano())
	if q, told := quotaOf(node); told && l.quota != nil {
		l.quota(q)
	}
	switch node.Tag {
	case "stream:error":
		l.parted.Store(int64(node.AttrGetter().OptionalInt("code")))
	case "failure":
		l.parted.Store(int64(node.AttrGetter().OptionalInt("reason")))
	}
	id, _ := node.Attrs["id"].(string)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case node.Tag == "iq" && id != "" && id == l.pingID:
		l.roundTrip.Store(int64(now.Sub(l.pinged)))
		l.pingID = ""
	case node.Tag == "iq" && id != "" && id == l.activeID && node.Attrs["type"] == "result":
		l.activeID = ""
	case node.Tag == "ack" && id != "" && id == string(l.send.id):
		l.send.acked = now
	}
}

// otherHash is the library's line about an ack that names other devices than the message had copies for. It tells nobody
// else, and drops its list of devices.
const otherHash = "Server returned different participant list hash"

// warned looks at a warning of the library. Sends are one at a time, so it is about the one that is followed.
func (l *libraryLog) warned(format string) {
	if !strings.HasPrefix(format, otherHash) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.send.otherDevices = true
}

// module is libraryLog for one part of the library.
type module struct {
	*libraryLog
	name string
}

var _ waLog.Logger = module{}

// say writes one line of the library with one of our log's methods.
func (m module) say(level int, write func(string, ...any), format string, args []any) {
	m.counts[level].Add(1)
	write("whatsmeow", "module", m.name, "line", redact(fmt.Sprintf(format, args...)))
}

// Errorf implements waLog.Logger. A dropped connection is an error to the library; for us it is a warning.
func (m module) Errorf(format string, args ...any) {
	m.say(levelError, m.log.Warn, format, args)
}

// Warnf implements waLog.Logger.
func (m module) Warnf(format string, args ...any) {
	m.warned(format)
	m.say(levelWarn, m.log.Warn, format, args)
}

// Infof implements waLog.Logger.
func (m module) Infof(format string, args ...any) {
	m.say(levelInfo, m.log.Debug, format, args)
}

// Debugf implements waLog.Logger.
func (m module) Debugf(_ string, args ...any) {
	m.counts[levelDebug].Add(1)
	if len(args) != 1 {
		return
	}
	node, ok := args[0].(*waBinary.Node)
	if !ok {
		return
	}
	switch m.name {
	case "Recv":
		m.received(node)
	case "Send":
		m.sent(node)
	}
}

// Sub implements waLog.Logger.
func (m module) Sub(name string) waLog.Logger { return module{m.libraryLog, name} }

// digits are runs that could be a number or a LID.
var digits = regexp.MustCompile(`[0-9]{7,}`)

// redact hides telephone numbers and LIDs in a text, but for their last three digits.
func redact(text string) string {
	return digits.ReplaceAllStringFunc(text, func(run string) string {
		return strings.Repeat("*", 4) + run[len(run)-3:]
	})
}

// short is as much of a number as a log shows.
func short(number Number) string { return redact(string(number)) }
