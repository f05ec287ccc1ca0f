package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

func TestBadMoments(t *testing.T) {
	t.Parallel()
	t.Run("73 same request many times", func(t *testing.T) {
		t.Parallel()
		d := newDoor(t, 1)
		target := "/ws/check/" + contact(1) + "/" + d.back()
		// ids posts a hundred times at once and returns how often each task was named.
		ids := func(headers string) map[string]int {
			var all sync.WaitGroup
			bodies := make(chan string, 100)
			for range 100 {
				all.Go(func() {
					res, body := d.raw(t, strings.Replace(call("POST", target), "\r\n\r\n", "\r\n"+headers+"\r\n", 1))
					require.Equal(t, http.StatusAccepted, res.StatusCode, body)
					bodies <- body
				})
			}
			all.Wait()
			close(bodies)
			count := map[string]int{}
			for body := range bodies {
				count[taskID(t, body)]++
			}
			return count
		}
		require.Len(t, ids(""), 100)
		require.Len(t, ids("Idempotency-Key: order-1\r\n"), 1)
		require.Len(t, ids("Idempotency-Key: \r\n"), 100, "an empty key is none")
		d.accepted += 201
		for _, key := range []string{"ü", strings.Repeat("k", 256)} {
			status, body := d.ask(t, target, "Idempotency-Key: "+key)
			require.Equal(t, http.StatusBadRequest, status, body)
		}
		d.hook.until("a callback for each task", func([]received) bool { return d.hook.tasks() == 201 })
		d.clean(t)
	})
	t.Run("74 log-in and log-out at odd moments", func(t *testing.T) {
		t.Parallel()
		d := newDoor(t, 0)
		round := func() int {
			var pairing httpapi.PairingAnswer
			d.get("/v1/pairing", &pairing)
			return pairing.Round
		}
		login, logout := "/ws/login/"+d.back(), "/ws/logout/"+d.back()
		first, second := d.taken(t, login), d.taken(t, login)
		d.hook.result(first, "Please scan qr code")
		d.hook.result(second, "Please scan qr code")
		began := round()
		d.hook.result(d.taken(t, logout), "Currently not logged into any account")
		d.hook.result(d.taken(t, logout), "Currently not logged into any account")
		d.hook.result(d.taken(t, login), "Please scan qr code")
		require.Equal(t, began+1, round(), "the log-out ended a round, the log-in began the next")
		d.pair()
		first, second = d.taken(t, login), d.taken(t, login)
		d.hook.result(first, "Whatsapp already logged in")
		d.hook.result(second, "Whatsapp already logged in")
		first, second = d.taken(t, logout), d.taken(t, logout)
		d.hook.result(first, "Log out successful")
		d.hook.result(second, "Currently not logged into any account")
		d.hook.result(d.taken(t, login), "Please scan qr code")
		require.LessOrEqual(t, round(), began+2, "one round more")
		d.clean(t)
	})
	t.Run("75 while WhatsApp cannot be reached", func(t *testing.T) {
		t.Parallel()
		w := calmWorld(t, 1)
		w.settings["WHATSAPPD_TASK_MAX_AGE"] = "1s"
		w.serve()
		w.hook.result(w.ws("check", contact(1)), notLoggedIn)
		w.hook.result(w.ws("message", contact(1), "hello"), notLoggedIn)
		w.pair()
		w.faults(simulator.Fault{At: "login", Do: "silence"})
		require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickDrop))
		w.eventually("connecting", func() bool { return w.status().State != "online" })
		check, message := w.ws("check", contact(1)), w.ws("message", contact(1), "hello")
		w.hook.result(check, checkFailed)
		w.hook.result(message, messageFailed)
		require.Empty(t, w.inbox(contact(1), 0))
		// The other states have a table of their own: TestWhatCallersAreToldWhileWhatsAppIsNotThere.
	})
	t.Run("76 odd answers to a check", func(t *testing.T) {
		t.Parallel()
		w := calmWorld(t, 1)
		w.settings["WHATSAPPD_TASK_MAX_AGE"] = "1s"
		w.serve()
		w.pair()
		for _, answer := range []string{"omit", "other-question", "error"} {
			w.faults(simulator.Fault{At: "iq:usync", Do: answer, Code: 500})
			for _, number := range []string{contact(1), strangerNot} {
				w.hook.result(w.ws("check", number), checkFailed)
				w.hook.result(w.ws("message", number, "hello"), messageFailed)
			}
			require.NoError(t, w.sim.ClearFaults(t.Context()))
		}
		require.Empty(t, w.inbox(contact(1), 0))
		w.hook.result(w.ws("check", strangerNot), "False")
		w.hook.result(w.ws("check", contact(1)), "True")
	})
	t.Run("77 names that are Slack's markup", func(t *testing.T) {
		t.Parallel()
		const hostile = "<!channel> <http://evil.example|click> `id` *bold* &amp; @here"
		w := calmWorld(t, 1)
		slack := w.withSlack()
		w.account(simulator.AccountSpec{Number: ownerPhone, Name: hostile})
		w.account(simulator.AccountSpec{Number: contact(1), Name: hostile})
		w.serve()
		w.hook.result(w.ws("login"), "Please scan qr code")
		w.pair()
		require.NoError(t, w.sim.Write(t.Context(), contact(1), ownerPhone, hostile))
		w.hook.result(w.ws("message", contact(1), hostile), "True")
		require.NoError(t, w.sim.Kick(t.Context(), ownerPhone, simulator.KickRemoved))
		slack.wantsText("WhatsApp is logged out")
		for _, markup := range []string{"<!", "<http", "evil.example"} {
			require.Zero(t, slack.count(markup), markup)
		}
	})
}
