package simulator_test

import (
	"fmt"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// limitRows is what a client sees of what WhatsApp holds against its account.
var limitRows = map[string]func(*talk){
	"reach-out lock without notice": func(k *talk) {
		k.limit(simulator.Limits{LockedUntil: time.Now().Add(time.Hour)})
		k.refused(463)
		require.Empty(k.t, k.server.Inbox(bea))
		k.hears(simulator.Message{Text: "hello"})
		k.reads(k.says("who wrote first may be answered"), "who wrote first may be answered")
		_, noticed := take[*events.NotifyAccountReachoutTimelock](k.client)
		require.False(k.t, noticed)
	},
	"reach-out lock with notice": func(k *talk) {
		end := time.Now().Add(time.Hour)
		k.limit(simulator.Limits{LockedUntil: end, Notice: true})
		begun := wait[*events.NotifyAccountReachoutTimelock](k.t, k.client)
		require.True(k.t, begun.IsActive)
		require.Equal(k.t, end.Unix(), begun.TimeEnforcementEnds.Unix())
		k.refused(463)
		k.limit(simulator.Limits{Notice: true}) // lifted early
		require.False(k.t, wait[*events.NotifyAccountReachoutTimelock](k.t, k.client).IsActive)
		k.says("hello")
	},
	"reach-out lock that ends": func(k *talk) {
		k.limit(simulator.Limits{LockedUntil: time.Now().Add(300 * time.Millisecond), Notice: true})
		require.True(k.t, wait[*events.NotifyAccountReachoutTimelock](k.t, k.client).IsActive)
		require.False(k.t, wait[*events.NotifyAccountReachoutTimelock](k.t, k.client).IsActive)
		k.says("hello")
	},
	"reach-out lock asked for": func(k *talk) {
		require.JSONEq(k.t, `{"xwa2_fetch_account_reachout_timelock":{"is_active":false}}`, k.mex("23983697327930364"))
		k.limit(simulator.Limits{LockedUntil: time.Unix(4102444800, 0)})
		require.Contains(k.t, k.mex("23983697327930364"), `"is_active":true,"time_enforcement_ends":"4102444800"`)
	},
	"new-chat quota": func(k *talk) {
		addContacts(k.t, k.server, 3, simulator.Behaviour{})
		k.limit(simulator.Limits{NewChats: 2})
		send(k.t, k.client, contactNumber(1), "first stranger")
		require.JSONEq(k.t, `{"xwa2_message_capping_info":{"total_quota":2,"used_quota":1,"capping_status":"FIRST_WARNING"}}`, k.mex("24503548349331633"))
		send(k.t, k.client, contactNumber(2), "second stranger")
		k.refused(463)
		require.Contains(k.t, k.mex("24503548349331633"), `"capping_status":"CAPPED"`)
		send(k.t, k.client, contactNumber(2), "who was written to before may be written to again")
		_, err := k.server.Write(k.t.Context(), contactNumber(1), ana, "an answer frees a place")
		require.NoError(k.t, err)
		k.says("third stranger")
	},
	"new-chat quota with notice": func(k *talk) {
		addContacts(k.t, k.server, 2, simulator.Behaviour{})
		ends := time.Now().Add(time.Hour)
		k.limit(simulator.Limits{NewChats: 1, Notice: true, CycleEnds: ends})
		send(k.t, k.client, contactNumber(1), "first stranger")
		require.Equal(k.t, 1, k.noted(simulator.Event{What: "notice", To: ana, Kind: "mex"}), "whatsmeow shows nothing of it")
		require.Contains(k.t, k.mex("24503548349331633"), fmt.Sprintf(`"cycle_end_timestamp":"%d"`, ends.Unix()))
		_, err := k.server.Write(k.t.Context(), contactNumber(1), ana, "an answer frees a place")
		require.NoError(k.t, err)
		require.Equal(k.t, 2, k.noted(simulator.Event{What: "notice", To: ana, Kind: "mex"}), "that is told too")
		k.limit(simulator.Limits{NewChats: 1, CycleEnds: time.Now().Add(-time.Second)})
		k.says("the cycle is over")
		k.eventually(func() bool { return k.server.Waiting(ana) == 0 })
	},
	"privacy token demanded": func(k *talk) {
		k.limit(simulator.Limits{Tokens: true})
		k.refused(463)
		token, err := k.server.GiveToken(bea, ana)
		require.NoError(k.t, err)
		k.eventually(func() bool { return string(k.tokenOf(k.client, bea)) == string(token) })
		k.reads(k.says("with her token"), "with her token")
	},
	"privacy token from a client": func(k *talk) {
		other := k.clientOf(bea)
		k.says("hello") // which also gives Bea a token
		k.eventually(func() bool { return len(k.tokenOf(other, ana)) > 0 })
		require.NoError(k.t, k.server.SetLimits(bea, simulator.Limits{Tokens: true}))
		_, err := other.SendMessage(k.t.Context(), jidOf(ana), &waE2E.Message{Conversation: proto.String("hello yourself")})
		require.NoError(k.t, err)
	},
	"message refused with 479": func(k *talk) {
		_, err := k.server.AddFaults(simulator.Fault{At: "message", Do: "error", Code: 479, Account: ana, Times: 1})
		require.NoError(k.t, err)
		k.refused(479)
		k.reads(k.says("again"), "again")
	},
}

// limit sets what is held against Ana.
func (k *talk) limit(limits simulator.Limits) {
	k.t.Helper()
	require.NoError(k.t, k.server.SetLimits(ana, limits))
}

// refused lets the client write to Bea, which is refused with an ack error.
func (k *talk) refused(code int) {
	k.t.Helper()
	_, err := k.try(&waE2E.Message{Conversation: proto.String("refused")})
	require.ErrorIs(k.t, err, whatsmeow.ErrServerReturnedError)
	require.ErrorContains(k.t, err, strconv.Itoa(code))
}

// mex asks a GraphQL query and returns its data.
func (k *talk) mex(query string) string {
	k.t.Helper()
	data, err := k.client.DangerousInternals().SendMexIQ(k.t.Context(), query, map[string]any{})
	require.NoError(k.t, err)
	return string(data)
}

// tokenOf returns the privacy token that a client has of somebody.
func (k *talk) tokenOf(c *client, number string) []byte {
	k.t.Helper()
	token, err := c.Store.PrivacyTokens.GetPrivacyToken(k.t.Context(), k.lidOf(number))
	require.NoError(k.t, err)
	if token == nil {
		return nil
	}
	return token.Token
}
