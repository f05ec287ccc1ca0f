package simulator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// messageRows is what a client sees of its own messages and of those of others.
var messageRows = map[string]func(*scene){
	"message error": func(s *scene) {
		s.strike(withCode(479))
		err := s.write(patience)
		require.ErrorIs(s.t, err, whatsmeow.ErrServerReturnedError)
		require.ErrorContains(s.t, err, "479")
		require.Empty(s.t, s.server.Inbox(contactNumber(0)))
	},
	"message delay": func(s *scene) {
		s.strike(withDelay(100 * time.Millisecond))
		require.NoError(s.t, s.write(patience))
		s.arrived()
	},
	"message silence": func(s *scene) {
		s.strike()
		require.ErrorIs(s.t, s.write(3*time.Second), whatsmeow.ErrMessageTimedOut)
		require.Empty(s.t, s.server.Inbox(contactNumber(0)))
	},
	"message no-ack": func(s *scene) {
		s.strike()
		id := s.client.GenerateMessageID()
		require.ErrorIs(s.t, s.writeAs(id, 3*time.Second), whatsmeow.ErrMessageTimedOut)
		require.Zero(s.t, s.arrived().Duplicates, "it is there all the same")
		require.NoError(s.t, s.writeAs(id, patience), "the ack comes for the second try")
		require.NoError(s.t, s.server.WaitQuiet(s.t.Context()))
		require.Equal(s.t, 1, s.arrived().Duplicates, "which apps know by its ID")
	},
	"message late-ack": func(s *scene) {
		s.strike(withDelay(100 * time.Millisecond))
		require.NoError(s.t, s.write(patience))
		s.arrived()
	},
	"message ack-twice":  func(s *scene) { s.strike(); require.NoError(s.t, s.write(patience)); s.arrived() },
	"message other-hash": func(s *scene) { s.strike(); require.NoError(s.t, s.write(patience)); s.arrived() },
	"message clock": func(s *scene) {
		s.strike(withDelay(-24 * time.Hour))
		sent, err := s.client.SendMessage(s.t.Context(), types.NewJID(contactNumber(0), types.DefaultUserServer),
			&waE2E.Message{Conversation: proto.String("hello")})
		require.NoError(s.t, err)
		require.WithinDuration(s.t, time.Now().Add(-24*time.Hour), sent.Timestamp, time.Minute)
	},
	"message reset": func(s *scene) { s.strike(); require.NoError(s.t, s.write(patience)); s.arrived() },
	"message drop":  func(s *scene) { s.strike(); require.NoError(s.t, s.write(patience)); s.arrived() },
	"message drop-after": func(s *scene) {
		s.strike()
		require.NoError(s.t, s.write(patience), "the client sends the same frame again")
		require.Zero(s.t, s.arrived().Duplicates, "which the recipient drops as a replay")
		require.Equal(s.t, 1, s.server.Counters().DuplicateIDs)
	},

	"receipt omit": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Kind = "delivered" })
		require.NoError(s.t, s.write(patience))
		require.Equal(s.t, types.ReceiptTypeRead, wait[*events.Receipt](s.t, s.client).Type, "the first receipt there is")
	},
	"receipt delay": func(s *scene) {
		s.strike(withDelay(300*time.Millisecond), func(f *simulator.Fault) { f.Kind = "delivered" })
		require.NoError(s.t, s.write(patience))
		require.Equal(s.t, types.ReceiptTypeRead, wait[*events.Receipt](s.t, s.client).Type)
		require.Equal(s.t, types.ReceiptTypeDelivered, wait[*events.Receipt](s.t, s.client).Type, "behind the other")
	},
	"receipt twice": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Device = new(uint16) })
		require.NoError(s.t, s.write(patience))
		for _, kind := range []types.ReceiptType{types.ReceiptTypeDelivered, types.ReceiptTypeDelivered, types.ReceiptTypeRead} {
			require.Equal(s.t, kind, wait[*events.Receipt](s.t, s.client).Type)
		}
	},

	"deliver omit": func(s *scene) { s.strike(); s.hears("lost"); s.hears("second"); s.shows("second") },
	"deliver delay": func(s *scene) {
		s.strike(withDelay(300 * time.Millisecond))
		s.hears("first")
		s.hears("second")
		s.shows("second", "first")
	},
	"deliver twice": func(s *scene) {
		s.strike()
		s.hears("first")
		s.shows("first") // the second one does not decrypt
		s.hears("second")
		s.shows("second")
	},
	"deliver clock": func(s *scene) {
		s.strike(withDelay(24 * time.Hour))
		s.hears("from tomorrow")
		require.WithinDuration(s.t, time.Now().Add(24*time.Hour), wait[*events.Message](s.t, s.client).Info.Timestamp, time.Minute)
	},
	"deliver broken": func(s *scene) {
		s.strike()
		s.hears("first")
		wait[*events.UndecryptableMessage](s.t, s.client)
		s.shows("first") // sent again
		require.Equal(s.t, 1, s.server.Counters().RetryReceipts)
	},
	"open fail": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Times = 3 })
		require.NoError(s.t, s.write(patience))
		s.arrived()
		require.Equal(s.t, 3, s.server.Counters().Faults["open fail"], "three retry receipts")
	},
}

// hears lets the contact write to the client.
func (s *scene) hears(text string) {
	s.t.Helper()
	_, err := s.server.Write(s.t.Context(), contactNumber(0), ana, text)
	require.NoError(s.t, err)
}

// shows waits for messages with these texts, in this order.
func (s *scene) shows(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		require.Equal(s.t, text, wait[*events.Message](s.t, s.client).Message.GetConversation())
	}
}

// frameRows is what a client sees of frames that are wrong. It does not get over a spoiled one by itself: it hears nothing
// any more until its pings tell it.
var frameRows = map[string]func(*scene){
	"frame delay": func(s *scene) {
		s.strike(withDelay(100 * time.Millisecond))
		require.NoError(s.t, s.write(patience))
		s.arrived()
	},
	"frame half":        func(s *scene) { s.strike(onMessages); s.hears("first"); s.shows("first") },
	"frame split":       func(s *scene) { s.strike(onMessages); s.deafened() },
	"frame truncated":   func(s *scene) { s.strike(onMessages); s.deafened() },
	"frame garbage":     skipped,
	"frame undecodable": skipped,
	"frame drop":        cutAfterOne,
	"frame reset":       cutAfterOne,
}

// skipped is a frame the client makes nothing of: its message is lost until the next login.
func skipped(s *scene) {
	s.strike(onMessages)
	s.hears("first")
	s.hears("second")
	s.shows("second")
	require.NoError(s.t, s.reconnect()) // the message may come before the library says that it is connected
	s.shows("first")
}

// cutAfterOne lets one message arrive and cuts the connection in place of the next.
func cutAfterOne(s *scene) {
	s.strike(onMessages, func(f *simulator.Fault) { f.After = 1 })
	s.hears("first")
	s.shows("first")
	s.hears("second")
	wait[*events.Disconnected](s.t, s.client)
	s.shows("second")
}

// onMessages limits a fault of frames to those that carry a message.
func onMessages(f *simulator.Fault) { f.Kind = "message" }

// deafened lets a spoiled frame arrive: the client hears nothing until it has connected again.
func (s *scene) deafened() {
	s.t.Helper()
	s.hears("first")
	wait[*events.KeepAliveTimeout](s.t, s.client)
	require.NoError(s.t, s.reconnect()) // the message may come before the library says that it is connected
	s.shows("first")
}

// requestRows is what a client sees of answers that are not whole.
var requestRows = map[string]func(*scene){
	"iq:usync omit": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Peer = contactNumber(0) })
		answers := s.asks(contactNumber(0), ana)
		require.Len(s.t, answers, 1, "who is left out is not said to be unregistered")
		require.Equal(s.t, "+"+ana, answers[0].Query)
	},
	"iq:usync unregistered": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Peer = contactNumber(0) })
		for _, answer := range s.asks(contactNumber(0), ana) {
			require.Equal(s.t, answer.Query == "+"+ana, answer.IsIn)
		}
	},
	"iq:usync registered": func(s *scene) {
		s.strike()
		require.True(s.t, s.asks("4915199999999")[0].IsIn, "a number nobody has")
	},
	"iq:usync other-user": func(s *scene) {
		s.strike()
		answer := s.asks(contactNumber(0))[0]
		require.Equal(s.t, "+"+contactNumber(0), answer.Query)
		require.NotEqual(s.t, contactNumber(0), answer.PhoneNumber.User, "the answer is about somebody else")
	},
	"iq:usync other-question": func(s *scene) {
		s.strike()
		answer := s.asks(contactNumber(0))[0]
		require.True(s.t, answer.IsIn)
		require.NotEqual(s.t, "+"+contactNumber(0), answer.Query, "the answer is to a question that nobody asked")
	},
	"iq:usync other-lid": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Times, f.Peer = 0, contactNumber(0) })
		require.ErrorContains(s.t, s.write(patience), "404", "nobody has the LID")
	},
	"iq:usync no-lid": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Times = 0 })
		require.Equal(s.t, types.DefaultUserServer, s.asks(contactNumber(0))[0].JID.Server)
		require.ErrorContains(s.t, s.write(patience), "no LID found")
	},
	"iq:usync no-devices": func(s *scene) {
		s.strike(func(f *simulator.Fault) { f.Times, f.Peer = 0, contactNumber(0) })
		s.server.Expect("message")
		require.NoError(s.t, s.write(patience), "no error, though nobody gets it")
		require.Equal(s.t, 1, s.server.Counters().NoRecipientCopy)
	},
	"iq:encrypt no-one-time-key": func(s *scene) { s.strike(); require.NoError(s.t, s.write(patience)); s.arrived() },
	"iq:encrypt bad-signature":   unencrypted,
	"iq:encrypt not-acceptable":  unencrypted,
	"iq:encrypt omit":            unencrypted,
}

// unencrypted is a message for which the client has no keys: it says that it was sent, and nobody gets it.
func unencrypted(s *scene) {
	s.strike(func(f *simulator.Fault) { f.Peer = contactNumber(0) })
	require.NoError(s.t, s.write(patience))
	require.Equal(s.t, 1, s.server.Counters().NoRecipientCopy)
}

func (s *scene) asks(numbers ...string) []types.IsOnWhatsAppResponse {
	s.t.Helper()
	for i := range numbers {
		numbers[i] = "+" + numbers[i]
	}
	answers, err := s.client.IsOnWhatsApp(s.t.Context(), numbers)
	require.NoError(s.t, err)
	return answers
}

// anyRequestRows is what a client sees of a request of any namespace.
var anyRequestRows = map[string]func(*scene){
	"error": func(s *scene) {
		s.strike(withCode(429))
		require.ErrorIs(s.t, s.request(patience), whatsmeow.ErrIQRateOverLimit)
	},
	"delay": func(s *scene) {
		s.strike(withDelay(50 * time.Millisecond))
		asked := time.Now()
		if err := s.request(patience); err != nil {
			_, refused := errors.AsType[*whatsmeow.IQError](err)
			require.True(s.t, refused, "an answer, if only that nobody knows the request")
		}
		require.GreaterOrEqual(s.t, time.Since(asked), 50*time.Millisecond)
	},
	"silence": func(s *scene) {
		s.strike()
		require.ErrorIs(s.t, s.request(200*time.Millisecond), whatsmeow.ErrIQTimedOut)
	},
	"drop":       func(s *scene) { s.strike(); require.Error(s.t, s.request(patience)) },
	"drop-after": func(s *scene) { s.strike(); require.Error(s.t, s.request(patience)) },
}

// request asks something nobody knows, in the fault's namespace.
func (s *scene) request(patience time.Duration) error {
	s.server.Expect("made-up", "directory query", "keys of 0 devices")
	space, isRequest := strings.CutPrefix(s.fault.At, "iq:")
	if !isRequest {
		space = "made-up"
	}
	take := func() error {
		_, err := s.client.DangerousInternals().SendIQ(s.t.Context(), whatsmeow.DangerousInfoQuery{
			Namespace: space, Type: "get", To: types.ServerJID, Timeout: patience, NoRetry: true,
			Content: []waBinary.Node{{Tag: "made-up"}},
		})
		return err
	}
	return take()
}

func TestFaultsThatNobodyKnowsAreRefused(t *testing.T) {
	t.Parallel()
	server := start(t)
	for _, f := range []simulator.Fault{
		{At: "message", Do: "explode"}, {At: "lunch", Do: "delay"}, {At: "message", Do: "error"},
		{At: "message", Do: "delay", Delay: -1}, {At: "message", Do: "delay", Times: -1},
	} {
		_, err := server.AddFaults(simulator.Fault{At: "message", Do: "drop"}, f)
		require.Error(t, err, "%+v", f)
	}
	require.Empty(t, server.Faults())
}

func TestFaultsStrikeWhomTheyNameAsOftenAsTheySay(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 2, simulator.Behaviour{})
	c := paired(t, server)
	c.log.tolerate()
	added, err := server.AddFaults(
		simulator.Fault{At: "message", Do: "error", Code: 500, Peer: contactNumber(0), After: 1, Times: 2},
		simulator.Fault{At: "message", Do: "error", Code: 501, Account: contactNumber(1)},
	)
	require.NoError(t, err)
	s := &scene{t: t, server: server, client: c}
	require.NoError(t, s.write(patience), "the first one passes")
	require.ErrorContains(t, s.write(patience), "500")
	send(t, c, contactNumber(1), "another contact")
	require.ErrorContains(t, s.write(patience), "500")
	require.NoError(t, s.write(patience))
	require.Equal(t, 2, server.Faults()[0].Hits)
	server.RemoveFaults(added[0].ID)
	require.Len(t, server.Faults(), 1)
	server.RemoveFaults()
	require.Empty(t, server.Faults())
}
