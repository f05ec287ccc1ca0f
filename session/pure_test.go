package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

func TestReconnectPausesGrowUpToALimit(t *testing.T) {
	t.Parallel()
	const least, most = time.Second, 5 * time.Minute
	require.Zero(t, reconnectAfter(0, 0.5, least, most), "at once after a stable connection")
	require.Equal(t, time.Second, reconnectAfter(1, 0, least, most))
	require.Equal(t, 8*time.Second, reconnectAfter(4, 0, least, most))
	for failures := range 1000 {
		require.LessOrEqual(t, reconnectAfter(failures, 1, least, most), most)
	}
	var elapsed time.Duration
	dials := 0
	for ; elapsed < 30*time.Minute; dials++ {
		elapsed += reconnectAfter(dials, 0, least, most)
	}
	require.LessOrEqual(t, dials, 40, "dials in half an hour of connections that do not last")
}

func TestAModuleVersionHasTheDayOfItsCommit(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v0.0.0-20260821101112-33cfac51aaaa":   "2026-08-21T10:11:12Z",
		"v1.2.3-0.20260821101112-33cfac51aaaa": "2026-08-21T10:11:12Z",
		"v1.2.3":                               "0001-01-01T00:00:00Z",
		"(devel)":                              "0001-01-01T00:00:00Z",
	} {
		require.Equal(t, want, commitDate(version).Format(time.RFC3339), version)
	}
}

func TestRoundPausesDouble(t *testing.T) {
	t.Parallel()
	for rounds, want := range map[int]time.Duration{1: 2 * time.Minute, 2: 4 * time.Minute, 3: 8 * time.Minute, 50: time.Hour} {
		require.Equal(t, want, nextRoundAfter(rounds, 2*time.Minute, time.Hour))
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	t.Parallel()
	ack := func(n int) error { return fmt.Errorf("%w %d", whatsmeow.ErrServerReturnedError, n) }
	for name, test := range map[string]struct {
		err       error
		code      string
		retry     Retry
		uncertain bool
	}{
		"a send refused for the recipient is final":   {ack(400), "rejected_400", RetryNever, false},
		"a send refused for now is tried once more":   {ack(403), "rejected_403", RetryOnce, false},
		"first contact not allowed is final":          {ack(463), CodePriorContact, RetryNever, false},
		"too many requests are tried later":           {ack(429), CodeRateLimited, RetryLater, false},
		"an error of WhatsApp's own is uncertain":     {ack(503), CodeNetworkUncertain, RetryLater, true},
		"a number we do not know is tried again":      {ack(499), "wa_499", RetryLater, false},
		"a query refused for too many is tried later": {&whatsmeow.IQError{Code: 429}, CodeRateLimited, RetryLater, false},
		"a lost connection waits for the next one":    {&whatsmeow.DisconnectedError{Action: "x"}, CodeNetworkUncertain, RetryOnline, true},
		"a time-out is uncertain":                     {whatsmeow.ErrMessageTimedOut, CodeNetworkUncertain, RetryLater, true},
		"anything else gets the fallback":             {errors.New("disk full"), CodeSendFailed, RetryLater, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := failure(test.err, CodeSendFailed)
			require.Equal(t, test.code, e.Code)
			require.Equal(t, test.retry, e.Retry)
			require.Equal(t, test.uncertain, e.Uncertain)
		})
	}
}

func TestNumbersAreHiddenInTheLog(t *testing.T) {
	t.Parallel()
	require.Equal(t, "from ****001@s.whatsapp.net to ****890:3@lid, 429", redact("from 5511900000001@s.whatsapp.net to 1234567890:3@lid, 429"))
}

func FuzzRedact(f *testing.F) {
	f.Add("5511900000001@s.whatsapp.net")
	f.Fuzz(func(t *testing.T, text string) {
		if digits.MatchString(strings.ReplaceAll(redact(text), "*", "x")) {
			t.Errorf("a number is left")
		}
	})
}

func TestAnswersAreMatchedByQuestion(t *testing.T) {
	t.Parallel()
	lid := types.NewJID("999", types.HiddenUserServer)
	got := readAnswers([]Number{"5511987654321", "49151", "49152"}, []types.IsOnWhatsAppResponse{
		{Query: "+49151", IsIn: false, JID: types.NewJID("49151", types.DefaultUserServer)},
		{Query: "+5511987654321", IsIn: true, JID: lid, PhoneNumber: types.NewJID("551187654321", types.DefaultUserServer)},
		{Query: "+1", IsIn: true, JID: lid},
	}, time.Time{})
	require.Len(t, got, 3)
	require.Equal(t, Registered, got["5511987654321"].Verdict)
	require.Equal(t, Number("551187654321"), got["5511987654321"].Canonical, "WhatsApp's own form of the number")
	require.Equal(t, "999@lid", got["5511987654321"].LID)
	require.Equal(t, NotRegistered, got["49151"].Verdict)
	require.Equal(t, Unknown, got["49152"].Verdict, "left out is not 'not registered'")
}

func TestTheGuardBelievesOnlyACleanSave(t *testing.T) {
	t.Parallel()
	const phone = "999_1:0"
	for name, test := range map[string]struct {
		calls  func(*guard)
		copied bool
	}{
		"saved and nothing failed":         {func(g *guard) { g.wrote(map[string][]byte{phone: nil}) }, true},
		"only another device saved":        {func(g *guard) { g.wrote(map[string][]byte{"999_1:5": nil}) }, false},
		"saved although its key failed":    {func(g *guard) { _ = g.called(errors.New("x"), phone); g.wrote(map[string][]byte{phone: nil}) }, false},
		"another device's failure is fine": {func(g *guard) { _ = g.called(errors.New("x"), "1_1:0"); g.wrote(map[string][]byte{phone: nil}) }, true},
		"nothing saved":                    {func(*guard) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &guard{now: time.Now}
			g.watch(phone)
			test.calls(g)
			copied, _ := g.verdict()
			require.Equal(t, test.copied, !copied.IsZero())
		})
	}
}

func TestOnlyPiecesOfTheHistoryThatHelpAreRead(t *testing.T) {
	t.Parallel()
	for kind, read := range map[waE2E.HistorySyncType]bool{
		waE2E.HistorySyncType_INITIAL_BOOTSTRAP: true, waE2E.HistorySyncType_RECENT: true, waE2E.HistorySyncType_PUSH_NAME: true,
		waE2E.HistorySyncType_FULL: false, waE2E.HistorySyncType_ON_DEMAND: false, waE2E.HistorySyncType_INITIAL_STATUS_V3: false,
	} {
		require.Equal(t, read, worthReading(&waE2E.HistorySyncNotification{SyncType: kind.Enum()}), kind)
		require.False(t, worthReading(&waE2E.HistorySyncNotification{SyncType: kind.Enum(), FileLength: proto.Uint64(maxHistory + 1)}), kind)
	}
}

func TestOnlyLoopbackSimulatorsAreDialled(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "10.0.0.1:1": false, "example.com:1": false, "1": false} {
		require.Equal(t, ok, checkLoopback(addr) == nil, addr)
	}
}

func TestASessionIsMadeAnewOncePerDeviceAndHour(t *testing.T) {
	t.Parallel()
	var r rebuilds
	now := time.Now()
	require.True(t, r.due("77_1:0", now))
	require.False(t, r.due("77_1:0", now.Add(rebuildPause-1)))
	require.True(t, r.due("77_1:3", now), "another device")
	require.True(t, r.due("77_1:0", now.Add(rebuildPause)))
	require.Len(t, r.last, 1, "what is over is forgotten")
}
