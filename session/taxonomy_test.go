package session

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/errcode"
)

const taxonomyFile = "testdata/taxonomy.golden"

var update = flag.Bool("update", false, "write the golden files anew")

// TestWhatEveryNumberOfWhatsAppMeans holds each number in each place to one line of a file. To change what a number means,
// change it, run this test with -update and read the difference.
func TestWhatEveryNumberOfWhatsAppMeans(t *testing.T) {
	t.Parallel()
	var lines []string
	for number := 400; number <= 599; number++ {
		lines = append(lines, endLine(t, fmt.Sprint("connect failure ", number), true, connectFailure(number)))
	}
	for number := 400; number <= 599; number++ {
		lines = append(lines, endLine(t, fmt.Sprint("stream error ", number), false, streamFailure(number, "")))
	}
	lines = append(lines, endLine(t, "stream conflict replaced", false, streamFailure(0, "replaced")))
	lines = append(lines, endLine(t, "stream conflict device_removed", false, streamFailure(401, "device_removed")))
	for number := 400; number <= 599; number++ {
		ack := fmt.Errorf("%w %d", whatsmeow.ErrServerReturnedError, number)
		lines = append(lines, errorLine("ack error", number, failure(ack, CodeSendFailed)))
	}
	for number := 400; number <= 599; number++ {
		lines = append(lines, errorLine("iq error", number, failure(&whatsmeow.IQError{Code: number}, CodeCheckFailed)))
	}
	got := strings.ReplaceAll(strings.Join(lines, "\n")+"\n", libraryAge(), "<the library's version>")
	if *update {
		require.NoError(t, os.WriteFile(taxonomyFile, []byte(got), 0o600))
	}
	want, err := os.ReadFile(taxonomyFile)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// errorLine is what the caller of a send or a query is told.
func errorLine(place string, number int, e *Error) string {
	means := errcode.Of(e.Code)
	return fmt.Sprintf("%s %d: %s, %s, retryable %t, retry %s after %s, uncertain %t, wa_code %d, hint %q",
		place, number, e.Code, means.Scope, means.Retryable, e.Retry, e.After, e.Uncertain, e.WACode, e.Hint)
}

// endLine is what an account shows that was online for long, after an end of its connection or a refusal of the next login,
// and when it dials again.
func endLine(t *testing.T, place string, atLogin bool, said []any) string {
	t.Helper()
	var line string
	runBench(t, Facts{}, func(_ *testing.T, b *bench) {
		b.pass(10 * time.Minute)
		ending := func() {
			for _, event := range said {
				if node, raw := event.(*waBinary.Node); raw {
					b.a.library.received(node)
				}
			}
			b.wire.set(false)
			for _, event := range said {
				if _, raw := event.(*waBinary.Node); !raw {
					b.wire.says(event)
				}
			}
		}
		b.wire.meets = func(int) {} // a further login is not answered
		before := len(b.states())
		if atLogin {
			b.wire.meets = func(dial int) {
				if dial == 2 {
					ending()
				}
			}
			b.wire.ends()
			b.pass(settle)
			before = len(b.states()) - 1
		}
		dials, begun := max(1, b.wire.count()), time.Now()
		if !atLogin {
			ending()
		}
		synctest.Wait()
		status := b.states()[before]
		retry := "never"
		for range 48 * 60 * 60 {
			if b.wire.count() > dials {
				retry = roughly(b.wire.dials[dials].Sub(begun))
				break
			}
			b.pass(time.Second)
		}
		means := errcode.Of(status.Reason)
		line = fmt.Sprintf("%s: %s, %s, %s, retryable %t, dials %s, hint %q", place, status.State, status.Reason, means.Scope, means.Retryable,
			retry, status.Detail)
	})
	return line
}

// roughly is a pause without the part that is chance.
func roughly(pause time.Duration) string {
	switch {
	case pause < 500*time.Millisecond:
		return "at once"
	case pause <= 2*time.Second:
		return "after 1 s or more"
	case pause < time.Minute:
		return "after half a minute or more"
	default:
		return "after " + pause.Round(time.Minute).String()
	}
}

// connectFailure is what the library makes of a refused login.
func connectFailure(number int) []any {
	node := &waBinary.Node{Tag: "failure", Attrs: waBinary.Attrs{"reason": strconv.Itoa(number)}}
	reason := events.ConnectFailureReason(number)
	switch {
	case reason.IsLoggedOut():
		return []any{node, &events.LoggedOut{OnConnect: true, Reason: reason}}
	case reason == events.ConnectFailureTempBanned:
		return []any{node, &events.TemporaryBan{Code: events.TempBanSentToTooManyPeople, Expire: time.Hour}}
	case reason == events.ConnectFailureClientOutdated:
		return []any{node, &events.ClientOutdated{}}
	case reason == events.ConnectFailureCATExpired, reason == events.ConnectFailureCATInvalid:
		return []any{node, &events.CATRefreshError{}}
	case reason == events.ConnectFailureInternalServerError, reason == events.ConnectFailureServiceUnavailable:
		return []any{node, &events.Disconnected{}}
	}
	return []any{node, &events.ConnectFailure{Reason: reason}}
}

// streamFailure is what the library makes of a stream error.
func streamFailure(number int, conflict string) []any {
	node := &waBinary.Node{Tag: "stream:error", Attrs: waBinary.Attrs{"code": strconv.Itoa(number)}}
	switch {
	case conflict == "replaced":
		return []any{node, &events.StreamReplaced{}}
	case conflict == "device_removed":
		return []any{node, &events.LoggedOut{Reason: events.ConnectFailureLoggedOut}}
	case number == 515:
		return []any{node, &events.ManualLoginReconnect{}}
	case number == 503:
		return []any{node, &events.Disconnected{}}
	}
	return []any{node, &events.StreamError{Code: strconv.Itoa(number)}}
}
