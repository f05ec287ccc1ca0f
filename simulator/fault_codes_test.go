package simulator_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// inScene runs a test with a paired client and one fault.
func inScene(t *testing.T, f simulator.Fault, run func(*scene)) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{Receipts: "read"})
	s := &scene{t: t, server: server, client: paired(t, server), fault: f}
	s.client.log.tolerate()
	s.strike(func(f *simulator.Fault) { f.Times = 0 })
	run(s)
	s.struck()
}

func TestAClientReadsTheNumberOfEveryAckError(t *testing.T) {
	inScene(t, simulator.Fault{At: "message", Do: "error", Code: 400}, func(s *scene) {
		for _, code := range []int{400, 401, 404, 421, 463, 475, 479, 500} {
			s.server.RemoveFaults()
			s.strike(withCode(code))
			err := s.write(patience)
			require.ErrorIs(s.t, err, whatsmeow.ErrServerReturnedError)
			require.ErrorContains(s.t, err, fmt.Sprint(code))
		}
		require.Empty(s.t, s.server.Inbox(contactNumber(0)))
	})
}

func TestAClientReadsTheStatusOfEveryRefusedConnect(t *testing.T) {
	inScene(t, simulator.Fault{At: "connect", Do: "error", Code: 400}, func(s *scene) {
		for _, status := range []int{400, 401, 403, 404, 408, 429, 500, 501, 502, 503} {
			s.server.RemoveFaults()
			s.strike(withCode(status))
			require.ErrorContains(s.t, s.reconnect(), fmt.Sprint(status))
		}
	})
}

func TestAClientKnowsEveryRequestErrorByName(t *testing.T) {
	inScene(t, simulator.Fault{At: "iq", Do: "error", Code: 400}, func(s *scene) {
		for code, want := range map[int]error{
			400: whatsmeow.ErrIQBadRequest, 401: whatsmeow.ErrIQNotAuthorized, 403: whatsmeow.ErrIQForbidden,
			404: whatsmeow.ErrIQNotFound, 406: whatsmeow.ErrIQNotAcceptable, 419: whatsmeow.ErrIQResourceLimit,
			429: whatsmeow.ErrIQRateOverLimit, 500: whatsmeow.ErrIQInternalServerError,
			503: whatsmeow.ErrIQServiceUnavailable, 530: whatsmeow.ErrIQPartialServerError,
		} {
			s.server.RemoveFaults()
			s.strike(withCode(code), func(f *simulator.Fault) { f.Times = 0 }) // the client's own pings are requests too
			require.ErrorIs(s.t, s.request(patience), want)
		}
	})
}

func TestWhatAClientMakesOfEveryRefusedLogin(t *testing.T) {
	t.Parallel()
	loggedOut := func(s *scene) {
		require.True(s.t, wait[*events.LoggedOut](s.t, s.client).OnConnect)
	}
	failed := func(s *scene) { wait[*events.ConnectFailure](s.t, s.client) }
	for reason, check := range map[int]func(*scene){
		400: failed,
		401: loggedOut,
		402: func(s *scene) { require.Equal(s.t, time.Hour, wait[*events.TemporaryBan](s.t, s.client).Expire) },
		403: loggedOut,
		405: func(s *scene) { wait[*events.ClientOutdated](s.t, s.client) },
		406: loggedOut,
		409: failed,
		500: func(s *scene) { wait[*events.Disconnected](s.t, s.client); s.isBack() },
		503: func(s *scene) { wait[*events.Disconnected](s.t, s.client); s.isBack() },
	} {
		t.Run(fmt.Sprint(reason), func(t *testing.T) {
			f := simulator.Fault{At: "login", Do: "failure", Code: reason, Ban: 101, Expire: simulator.Duration(time.Hour)}
			inScene(t, f, func(s *scene) {
				s.server.RemoveFaults()
				s.strike()
				require.NoError(s.t, s.reconnect())
				check(s)
			})
		})
	}
}

func TestWhatAClientMakesOfEveryStreamError(t *testing.T) {
	t.Parallel()
	unknown := func(s *scene) { wait[*events.StreamError](s.t, s.client); s.isBack() }
	for code, check := range map[int]func(*scene){
		401: unknown, // without the conflict that says the device was removed
		500: unknown,
		503: func(s *scene) { wait[*events.Disconnected](s.t, s.client); s.isBack() },
		515: func(s *scene) { s.isBack() },
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inScene(t, simulator.Fault{At: "online", Do: "stream-error", Code: code}, func(s *scene) {
				s.server.RemoveFaults()
				s.ends()
				check(s)
			})
		})
	}
}

func TestForgedProtocolMessagesChangeNothing(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	c := paired(t, server)
	server.Expect("claims to be a copy") // as a phone notices it
	own := send(t, c, contactNumber(0), "mine")
	for _, what := range simulator.Forgeries() {
		_, err := server.Send(t.Context(), contactNumber(0), simulator.Message{To: ana, Forge: what, Text: own})
		require.NoError(t, err, what)
		got := wait[*events.Message](t, c)
		require.False(t, got.Info.IsFromMe, "%s: a stranger does not become the own account", what)
		require.Equal(t, contactNumber(0), got.Info.SenderAlt.User, what)
	}
	_, err := server.Write(t.Context(), contactNumber(0), ana, "honest")
	require.NoError(t, err)
	require.Equal(t, "honest", wait[*events.Message](t, c).Message.GetConversation())
	key, err := c.device.AppStateKeys.GetAppStateSyncKey(t.Context(), []byte("forged"))
	require.NoError(t, err)
	require.Nil(t, key, "no key was taken from a stranger")
	_, history := take[*events.HistorySync](c)
	require.False(t, history, "nor a history")
	require.Equal(t, "mine", server.Inbox(contactNumber(0))[0].Text)
}
