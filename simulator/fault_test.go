package simulator_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// sceneOf is a paired client that meets one fault.
type scene struct {
	t      *testing.T
	server *simulator.Server
	client *client
	fault  simulator.Fault
}

// strike adds the scene's fault, to strike once unless it says otherwise.
func (s *scene) strike(change ...func(*simulator.Fault)) {
	s.t.Helper()
	f := s.fault
	f.Times, f.Account = 1, ana
	if f.At == "connect" || f.At == "handshake" {
		f.Account = "" // nobody has said who it is
	}
	for _, c := range change {
		c(&f)
	}
	_, err := s.server.AddFaults(f)
	require.NoError(s.t, err)
}

// struck checks that the fault was met.
func (s *scene) struck() {
	s.t.Helper()
	require.NotZero(s.t, s.server.Faults()[0].Hits)
}

func withCode(code int) func(*simulator.Fault) {
	return func(f *simulator.Fault) { f.Code = code }
}

func withDelay(d time.Duration) func(*simulator.Fault) {
	return func(f *simulator.Fault) { f.Delay = simulator.Duration(d) }
}

// reconnect connects again, once the server has noticed that the old connection is over, and gives up after a second.
func (s *scene) reconnect() error {
	s.t.Helper()
	s.client.Disconnect()
	gone, stop := context.WithTimeout(s.t.Context(), patience)
	defer stop()
	require.NoError(s.t, s.server.WaitGone(gone), "the old connection is still there")
	return s.connect(time.Second)
}

// connect connects and gives up after so long. The library uses the context as long as the connection lasts: only giving up
// may end it.
func (s *scene) connect(patience time.Duration) error {
	take[*events.Connected](s.client)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	s.t.Cleanup(func() {
		s.client.Disconnect()
		cancel()
	})
	late := time.AfterFunc(patience, cancel)
	defer late.Stop()
	return s.client.ConnectContext(ctx)
}

// write sends a text to the contact, and gives up after so long.
func (s *scene) write(patience time.Duration) error {
	return s.writeAs(s.client.GenerateMessageID(), patience)
}

// writeAs is write under an ID.
func (s *scene) writeAs(id string, patience time.Duration) error {
	_, err := s.client.SendMessage(s.t.Context(), types.NewJID(contactNumber(0), types.DefaultUserServer),
		&waE2E.Message{Conversation: proto.String("hello")}, whatsmeow.SendRequestExtra{ID: id, Timeout: patience})
	return err
}

// arrived returns the contact's only message.
func (s *scene) arrived() simulator.Entry {
	s.t.Helper()
	got := inbox(s.t, s.server, contactNumber(0), 1)
	require.Len(s.t, got, 1)
	require.Equal(s.t, "hello", got[0].Text)
	return got[0]
}

// TestWhatAClientSeesOfEachFault walks every fault there is, with an unmodified client, and states what it saw.
func TestWhatAClientSeesOfEachFault(t *testing.T) {
	t.Parallel()
	rows := map[string]func(*scene){}
	for _, some := range []map[string]func(*scene){connectRows, messageRows, requestRows, frameRows, endRows("online"), endRows("paired"), mediaRows, pairRows} {
		maps.Copy(rows, some)
	}
	for _, kind := range simulator.FaultKinds() {
		name := kind.At + " " + kind.Do
		row := rows[name]
		if row == nil && strings.HasPrefix(kind.At, "iq") {
			row = anyRequestRows[kind.Do]
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NotNil(t, row, "no row says what a client sees")
			server := start(t)
			addContacts(t, server, 1, simulator.Behaviour{Receipts: "read"})
			s := &scene{t: t, server: server, fault: simulator.Fault{At: kind.At, Do: kind.Do}}
			if slices.Contains([]string{"pair", "passkey-request", "passkey", "paired"}, kind.At) {
				s.client = newClient(t, server.Addr(), newStore(t).NewDevice())
			} else {
				s.client = paired(t, server)
			}
			s.client.log.tolerate()
			row(s)
			s.struck()
		})
	}
}

// connectRows is what a client sees that connects.
var connectRows = map[string]func(*scene){
	"connect error":   func(s *scene) { s.strike(withCode(503)); require.ErrorContains(s.t, s.reconnect(), "503") },
	"connect delay":   func(s *scene) { s.strike(withDelay(50 * time.Millisecond)); s.comesBack() },
	"connect silence": func(s *scene) { s.strike(); require.ErrorIs(s.t, s.reconnect(), context.Canceled) },
	"connect drop":    func(s *scene) { s.strike(); require.ErrorContains(s.t, s.reconnect(), "EOF") },
	"connect reset":   func(s *scene) { s.strike(); require.ErrorContains(s.t, s.reconnect(), "connection reset") },

	"handshake wrong-root": func(s *scene) { s.strike(); require.ErrorContains(s.t, s.reconnect(), "failed to verify server cert") },
	"handshake expired":    func(s *scene) { s.strike(); require.ErrorContains(s.t, s.reconnect(), "failed to verify server cert") },
	"handshake wrong-leaf": func(s *scene) { s.strike(); require.ErrorContains(s.t, s.reconnect(), "noise handshake failed") },
	"handshake garbage":    func(s *scene) { s.strike(); require.ErrorContains(s.t, s.reconnect(), "noise handshake failed") },
	"handshake delay":      func(s *scene) { s.strike(withDelay(50 * time.Millisecond)); s.comesBack() },
	"handshake silence":    func(s *scene) { s.strike(); require.Error(s.t, s.reconnect()) },
	"handshake drop":       func(s *scene) { s.strike(); require.Error(s.t, s.reconnect()) },
	"handshake half":       func(s *scene) { s.strike(); require.Error(s.t, s.reconnect()) },

	"login failure": func(s *scene) {
		s.strike(withCode(402), func(f *simulator.Fault) {
			f.Ban, f.Expire, f.Message = 101, simulator.Duration(time.Hour), "too fast"
		})
		require.NoError(s.t, s.reconnect())
		ban := wait[*events.TemporaryBan](s.t, s.client)
		require.Equal(s.t, events.TempBanSentToTooManyPeople, ban.Code)
		require.Equal(s.t, time.Hour, ban.Expire)
	},
	"login delay": func(s *scene) { s.strike(withDelay(50 * time.Millisecond)); s.comesBack() },
	"login silence": func(s *scene) {
		s.strike()
		require.NoError(s.t, s.reconnect())
		require.ErrorIs(s.t, s.request(patience), whatsmeow.ErrIQNotAuthorized, "the connection is open")
		_, in := take[*events.Connected](s.client)
		require.False(s.t, in, "and the client does not know whether it is in")
	},
	"login drop":  func(s *scene) { s.strike(); s.comesBack() },
	"login reset": func(s *scene) { s.strike(); s.comesBack() },
}

// comesBack connects again and is let in, maybe at the second try.
func (s *scene) comesBack() {
	s.t.Helper()
	require.NoError(s.t, s.reconnect())
	wait[*events.Connected](s.t, s.client)
}

// endRows is what a client sees of the end of a connection: after a login, or in place of the restart after pairing.
func endRows(at string) map[string]func(*scene) {
	rows := map[string]func(*scene){
		"drop":                 returns,
		"reset":                returns,
		"close":                returns,
		"stream-error":         func(s *scene) { s.ends(withCode(503)); wait[*events.Disconnected](s.t, s.client); s.isBack() },
		simulator.KickReplaced: func(s *scene) { s.ends(); wait[*events.StreamReplaced](s.t, s.client) },
		simulator.KickRemoved:  func(s *scene) { s.ends(); wait[*events.LoggedOut](s.t, s.client) },
		"stream-error-open":    func(s *scene) { s.ends(withCode(500)); wait[*events.StreamError](s.t, s.client) },
		simulator.KickDeaf:     func(s *scene) { s.ends(); wait[*events.KeepAliveTimeout](s.t, s.client) },
		simulator.KickStuck:    func(s *scene) { s.ends(); wait[*events.KeepAliveTimeout](s.t, s.client) },
	}
	named := map[string]func(*scene){}
	for do, row := range rows {
		if at == "paired" {
			row = pairedRow(do)
		}
		named[at+" "+do] = row
	}
	return named
}

// returns is a client that loses its connection and comes back by itself.
func returns(s *scene) {
	s.ends()
	wait[*events.Disconnected](s.t, s.client)
	s.isBack()
}

// isBack waits until the client works again: maybe at the second try, for the connection that ends may have said that it was
// there, too.
func (s *scene) isBack() {
	s.t.Helper()
	id := s.client.GenerateMessageID()
	for {
		wait[*events.Connected](s.t, s.client)
		err := s.writeAs(id, patience)
		if lost := new(whatsmeow.DisconnectedError); errors.As(err, &lost) || errors.Is(err, whatsmeow.ErrNotConnected) {
			continue
		}
		require.NoError(s.t, err)
		s.arrived()
		return
	}
}

// ends logs in again, into a connection that soon ends. The end is not immediate: a client that loses its connection before
// it has installed its handler for that never comes back.
func (s *scene) ends(change ...func(*simulator.Fault)) {
	s.t.Helper()
	s.strike(append(change, withDelay(50*time.Millisecond))...)
	require.NoError(s.t, s.reconnect())
}

// pairedRow is a client that waits for a restart after pairing that does not come as it should: it is paired all the same.
func pairedRow(do string) func(*scene) {
	return func(s *scene) {
		s.strike(withCode(500))
		require.NoError(s.t, s.client.Connect())
		codes := wait[*events.QR](s.t, s.client)
		require.NoError(s.t, s.server.Scan(s.t.Context(), ana, codes.Codes[0]))
		if do == simulator.KickRemoved {
			wait[*events.LoggedOut](s.t, s.client)
			return
		}
		wait[*events.PairSuccess](s.t, s.client)
		// It takes the end of this connection for the one it expected, or sees none at all, and does nothing by itself.
		s.client.Disconnect()
		require.NoError(s.t, s.connect(patience), "a server that is stuck does not notice that the old connection is over")
		wait[*events.Connected](s.t, s.client)
	}
}
