package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

// notLoggedIn is what a check or message gets while no phone is linked.
const notLoggedIn = "Whatsapp Web not logged in, please scan qr code"

func TestMainJobFromPairingToLogout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.serve()

	// Nothing is linked yet: log-out has nothing to end, and log-in shows a code.
	w.hook.result(w.ws("logout"), "Currently not logged into any account")
	w.hook.result(w.ws("login"), "Please scan qr code")
	w.pair()
	w.hook.result(w.ws("login"), "Whatsapp already logged in")

	w.hook.result(w.ws("check", contact(1)), "True")
	w.hook.result(w.ws("check", "+"+strangerNot), "False")

	text := "Grüße, 100 % + a/b ?\n👩‍👩‍👧 %2F"
	w.hook.result(w.ws("message", contact(1), text), "True")
	w.hook.result(w.ws("message", strangerNot, "hello"), "False")
	inbox := w.inbox(contact(1), 1)
	require.Equal(t, text, inbox[0].Text)
	copies := w.inbox(ownerPhone, 1)
	require.Equal(t, text, copies[0].Text)
	require.Equal(t, contact(1), copies[0].SentTo, "the copy on the owner's phone names the recipient")

	w.flawless()
	w.quietLog() // a log-out may cut off the library's answer to a late receipt, of which it warns
	w.hook.result(w.ws("logout"), "Log out successful")
	w.hook.result(w.ws("logout"), "Currently not logged into any account")
	w.hook.result(w.ws("message", contact(1), "too late"), notLoggedIn)
}

func TestALogOutWhoseAnswerIsLostIsSuccessful(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 0)
	w.serve()
	w.pair()
	w.quietLog() // it warns of the connection that is cut
	w.faults(simulator.Fault{At: "iq:md", Do: "drop-after", Times: 1})
	w.hook.result(w.ws("logout"), "Log out successful")
	w.hook.result(w.ws("logout"), "Currently not logged into any account")
}

func TestTwoHundredMessagesArriveOnceAndInOrder(t *testing.T) {
	t.Parallel()
	const contacts, each = 20, 10
	w := newWorld(t, contacts)
	w.serve()
	w.pair()

	ids := w.burst(contacts, each)
	for _, id := range ids {
		w.hook.result(id, "True")
	}
	w.allArrived(contacts, each)
	w.once(ids)
	w.flawless()
	w.quietLog()
}

func TestAKillInTheMiddleLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const contacts, each = 20, 10
	w := newWorld(t, contacts)
	w.serve()
	w.pair()

	ids := w.burst(contacts, each)
	w.hook.until("a third of the callbacks", func(got []received) bool { return len(got) >= contacts*each/3 })
	w.daemon.kill()
	finished := len(w.hook.all())
	require.Less(t, finished, len(ids), "the kill came too late to be in the middle")
	w.serve()
	w.online()
	for _, id := range ids {
		w.hook.result(id, "True")
	}
	w.allArrived(contacts, each)
	counters, err := w.sim.Counters(t.Context())
	require.NoError(t, err)
	w.flawless()
	t.Logf("killed after %d of %d callbacks; %d messages were repeated under their IDs", finished, len(ids), counters.DuplicateIDs)
}

func TestATaskTellsHowFarAMessageGot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	require.NoError(t, w.sim.SetBehaviour(t.Context(), contact(1), simulator.Behaviour{Receipts: "read"}))
	id := w.ws("message", contact(1), "hello")
	w.hook.result(id, "True")
	var task httpapi.TaskAnswer
	w.eventually("the message is delivered and read", func() bool {
		task = httpapi.TaskAnswer{}
		w.get("/v1/tasks/"+id, &task)
		delivered := func(s httpapi.Step) bool { return s.What == "delivered" } // on a bad network it may come last
		return task.Delivery == "read" && slices.ContainsFunc(task.Timeline, delivered)
	})
	require.Equal(t, "phone", task.DeliveredBy)
	require.Equal(t, contact(1), task.Canonical)
	require.NotEmpty(t, task.LID)
	var names []string
	for _, step := range task.Timeline {
		names = append(names, step.What)
	}
	require.Subset(t, names, []string{"queued", "checked", "encrypted", "written", "acked", "finished", "delivered", "read"})
	require.Equal(t, "queued", names[0])

	for range 2 {
		id := w.ws("check", contact(1))
		w.hook.result(id, "True")
		task = httpapi.TaskAnswer{}
		w.get("/v1/tasks/"+id, &task)
		require.Equal(t, contact(1), task.Canonical)
		require.NotEmpty(t, task.LID)
		require.Equal(t, "queued", task.Timeline[0].What)
		require.True(t, slices.ContainsFunc(task.Timeline, func(s httpapi.Step) bool { return s.What == "checked" && strings.HasPrefix(s.Detail, "cache of ") }))
	}
}

func TestARestartResumesWithoutPairing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "before"), "True")
	code, took := w.daemon.stop()
	require.Zero(t, code, "exit code")
	require.Less(t, took, 8*time.Second)

	w.serve()
	w.online()
	w.hook.result(w.ws("message", contact(1), "after"), "True")
	inbox := w.inbox(contact(1), 2)
	require.Equal(t, []string{"before", "after"}, texts(inbox))
	counters, err := w.sim.Counters(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, int(counters.Pairings))
	w.flawless()
	w.quietLog()
}

func TestAStopUnderLoadParksWhatIsNotSent(t *testing.T) {
	t.Parallel()
	const contacts, each = 10, 10
	w := newWorld(t, contacts)
	w.serve()
	w.pair()
	ids := w.burst(contacts, each)
	code, took := w.daemon.stop()
	require.Zero(t, code, "exit code")
	require.Less(t, took, 8*time.Second)

	w.serve()
	for _, id := range ids {
		w.hook.result(id, "True")
	}
	w.allArrived(contacts, each)
	w.flawless()
}

// freeze lets the simulator fall silent with its connections open, while a message is on its way to it. It must be a calm one: one
// that cuts the connection in that moment leaves nothing to be on its way.
func (w *world) freeze() (thaw func()) {
	w.t.Helper()
	require.NoError(w.t, w.whatsapp.cmd.Process.Signal(syscall.SIGSTOP))
	w.ws("message", contact(1), "into the silence")
	w.eventually("the message is on its way", func() bool {
		var running httpapi.TasksAnswer
		w.get("/v1/tasks?state=running", &running)
		return len(running.Tasks) == 1
	})
	return func() { require.NoError(w.t, w.whatsapp.cmd.Process.Signal(syscall.SIGCONT)) }
}

func TestAStopIsInTimeThoughWhatsAppIsSilent(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.serve()
	w.pair()
	w.hook.result(w.ws("check", contact(1)), "True") // so that only the message itself is left to do
	thaw := w.freeze()
	code, took := w.daemon.stop()
	thaw()
	require.Zero(t, code, "exit code")
	require.Less(t, took, 8*time.Second)
	w.serve()
	require.Equal(t, []string{"into the silence"}, texts(w.inbox(contact(1), 1)), "it is sent after the next start, and shown once")
	w.hook.until("its callback", func(got []received) bool { return len(got) == 2 })
}

func TestASecondSignalEndsTheDaemonAtOnce(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.serve()
	w.pair()
	w.hook.result(w.ws("check", contact(1)), "True")
	thaw := w.freeze()
	defer thaw()
	require.NoError(t, w.daemon.cmd.Process.Signal(syscall.SIGTERM))
	w.daemon.wants(`"msg":"stopping"`)
	begun := time.Now()
	require.NoError(t, w.daemon.cmd.Process.Signal(syscall.SIGTERM))
	require.NotZero(t, w.daemon.wait())
	require.Less(t, time.Since(begun), 2*time.Second)
}

func TestACheckWhileLoggedOutShowsACodeInSlackAndTerminal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	slack := w.withSlack()
	w.settings["WHATSAPPD_PAIRING_TERMINAL"] = "always"
	w.serve()
	w.hook.result(w.ws("check", contact(1)), notLoggedIn)
	w.code()
	slack.wantsFile()
	w.daemon.wants("█")

	w.pair()
	slack.wantsNoFile()
	require.NotContains(t, w.daemon.output(), slackToken, "the Slack token is in the output")
	require.NotContains(t, w.daemon.output(), testToken, "the API token is in the output")
	w.hook.result(w.ws("check", contact(1)), "True")
}

func TestThePhoneRemovingUsStartsANewRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	slack := w.withSlack()
	w.serve()
	w.pair()
	slack.wantsNoFile()

	devices, err := w.sim.Account(t.Context(), ownerPhone)
	require.NoError(t, err)
	require.NoError(t, w.sim.RemoveDevice(t.Context(), ownerPhone, devices.Linked()[0]))
	w.code()
	slack.wantsFile()
	slack.wantsText("logged out")
	w.hook.result(w.ws("message", contact(1), "while away"), notLoggedIn)

	w.pair()
	w.hook.result(w.ws("message", contact(1), "back again"), "True")
	require.Equal(t, []string{"back again"}, texts(w.inbox(contact(1), 1)))
	slack.wantsNoFile()
}

func TestATaskWaitsForALostConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, "drop"))
	w.hook.result(w.ws("message", contact(1), "through the gap"), "True")
	require.Equal(t, []string{"through the gap"}, texts(w.inbox(contact(1), 1)))
	w.flawless()
}

func TestASecondDaemonOnTheSameDataExitsWithOneLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.serve()
	output, code := whatsappd(t, w.settings, "serve")
	require.Equal(t, exitFailed, code)
	require.Len(t, strings.Split(strings.TrimSpace(output), "\n"), 1, output)
	require.Contains(t, output, w.settings["WHATSAPPD_DATA_DIR"])
}

func TestContactsCanWriteFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3)
	w.serve()
	w.pair()
	for i := range 3 {
		require.NoError(t, w.sim.Write(t.Context(), contact(i+1), ownerPhone, "hello from a stranger"))
	}
	for i := range 3 {
		w.hook.result(w.ws("message", contact(i+1), "hello back"), "True")
		require.Equal(t, []string{"hello back"}, texts(w.inbox(contact(i+1), 1)))
	}
	w.flawless()
	w.quietLog()
}

func TestCommandsOfAnOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()

	w.eventually("the status says online", func() bool { // on a bad network the connection may be lost at the moment
		output, code := w.command("status")
		return code == 0 && strings.Contains(output, "online")
	})

	output, code := w.command("check", "+"+contact(1), "+"+strangerNot)
	require.Zero(t, code, output)
	require.Contains(t, output, contact(1)+": on WhatsApp")
	require.Contains(t, output, strangerNot+": not on WhatsApp")

	output, code = w.command("send", contact(1), "from the command line")
	require.Zero(t, code, output)
	require.Equal(t, []string{"from the command line"}, texts(w.inbox(contact(1), 1)))

	output, code = w.command("tasks")
	require.Zero(t, code, output)
	require.Contains(t, output, "message")
	require.NotContains(t, output, "from the command line", "a list of tasks shows no message text")

	output, code = w.command("login")
	require.Zero(t, code, output)
	require.Contains(t, output, "Already logged in")

	_, code = w.command("healthcheck")
	require.Zero(t, code)
	output, code = w.command("logout")
	require.Zero(t, code, output)
	output, code = w.command("send", contact(1), "too late")
	require.Equal(t, exitFailed, code, output)
	require.Contains(t, output, "not logged in")
}

func TestACallbackThatFailsIsListedAndReplayed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	w.pair()
	gone := w.hook.answer(410)
	id := w.ws("check", contact(1))
	w.hook.wants(id)
	var dead string
	w.eventually("the callback is dead", func() bool {
		output, code := w.command("callbacks", "--state", "dead")
		dead = output
		return code == exitDone && strings.Contains(output, id)
	})
	gone()
	callbackID := strings.Fields(strings.Split(dead, "\n")[1])[0]
	output, code := w.command("callbacks", "replay", callbackID)
	require.Zero(t, code, output)
	w.hook.until("the replayed callback", func(got []received) bool { return len(got) == 2 })
	first, second := w.hook.all()[0], w.hook.all()[1]
	require.Equal(t, first.Header.Get("Webhook-Id"), second.Header.Get("Webhook-Id"), "one result keeps one id")
	require.Equal(t, first.Body, second.Body)
}

// burst asks for messages to every contact, each contact's in order, from several callers at once.
func (w *world) burst(contacts, each int) []string {
	w.t.Helper()
	ids := make([]string, contacts*each)
	var wg sync.WaitGroup
	for c := range contacts {
		wg.Go(func() {
			for n := range each {
				id, err := w.try(w.t.Context(), "message", contact(c+1), fmt.Sprintf("message %d", n))
				if err != nil {
					w.t.Errorf("message %d to contact %d was not accepted: %v", n, c+1, err)
					return
				}
				ids[c*each+n] = id
			}
		})
	}
	wg.Wait()
	if w.t.Failed() {
		w.t.FailNow()
	}
	return ids
}

// allArrived checks that every device of every contact shows its messages once, in order, and the owner's phone a copy of each.
func (w *world) allArrived(contacts, each int) {
	w.t.Helper()
	want := make([]string, each)
	for n := range each {
		want[n] = fmt.Sprintf("message %d", n)
	}
	for c := range contacts {
		byDevice := map[uint16][]string{}
		for _, entry := range w.inbox(contact(c+1), each*(1+companions(c+1))) {
			byDevice[entry.Device] = append(byDevice[entry.Device], entry.Text)
		}
		require.Len(w.t, byDevice, 1+companions(c+1), "devices of contact %d", c+1)
		for device, got := range byDevice {
			require.Equal(w.t, want, got, "device %d of contact %d", device, c+1)
		}
	}
	copies := map[string][]string{}
	for _, entry := range w.inbox(ownerPhone, contacts*each) {
		copies[entry.SentTo] = append(copies[entry.SentTo], entry.Text)
	}
	require.Len(w.t, copies, contacts, "chats on the owner's phone")
	for number, got := range copies {
		require.Equal(w.t, want, got, "copies on the owner's phone of what %s got", number)
	}
}

// once checks that every task had exactly one callback.
func (w *world) once(ids []string) {
	w.t.Helper()
	count := map[string]int{}
	for _, got := range w.hook.all() {
		count[got.TaskID]++
	}
	for _, id := range ids {
		require.Equal(w.t, 1, count[id], "callbacks of task %s", id)
	}
}

// inbox waits until a number's phone shows so many messages, and returns what it shows.
func (w *world) inbox(number string, atLeast int) []simulator.Entry {
	w.t.Helper()
	entries, err := w.sim.WaitInbox(w.t.Context(), number, atLeast)
	require.NoError(w.t, err)
	return entries
}

func texts(entries []simulator.Entry) []string {
	all := make([]string, len(entries))
	for i, entry := range entries {
		all[i] = entry.Text
	}
	return all
}

// quietLog checks that the daemon, and the protocol library in it, warned of nothing. On a bad network they have to.
func (w *world) quietLog() {
	w.t.Helper()
	if *hostileLevel > 0 {
		return
	}
	for line := range strings.SplitSeq(w.daemon.output(), "\n") {
		require.NotContains(w.t, line, `"level":"WARN"`)
		require.NotContains(w.t, line, `"level":"ERROR"`)
	}
}
