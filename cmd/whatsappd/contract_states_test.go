package main

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The results for work that went wrong for good.
const (
	checkFailed   = "Whatsapp check failed, exception raised"
	messageFailed = "Whatsapp messaging failed, exception raised"
	logoutFailed  = "Whatsapp logout failed, exception raised"
)

func TestEachCallIsAcceptedAndAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.serve()
	const plain = "Token token=" + testToken
	back := "/" + url.PathEscape(w.hook.url("/cb"))
	ask := func(authorization, call, result string) {
		t.Helper()
		res, body := w.raw(t, "POST /ws/"+call+back+" HTTP/1.1\r\nHost: x\r\nAuthorization: "+authorization+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		require.Equal(t, http.StatusAccepted, res.StatusCode, body)
		name, _, _ := strings.Cut(call, "/")
		require.Contains(t, body, `"task_name":"whatsapp `+name+`"`)
		w.hook.result(taskID(t, body), result)
	}
	type row struct{ authorization, call, result string }
	for _, c := range []row{
		{plain, "check/" + contact(1), notLoggedIn},
		{plain, "message/" + contact(1) + "/hello", notLoggedIn},
		{plain, "login", "Please scan qr code"},
		{plain, "login", "Please scan qr code"}, // joins the round that runs
		{plain, "logout", "Currently not logged into any account"},
		{plain, "login", "Please scan qr code"}, // another round: a person asked
	} {
		ask(c.authorization, c.call, c.result)
	}
	w.pair()
	for _, c := range []row{
		{plain, "check/" + contact(1), "True"},
		{"Token token=\"" + testToken + "\"", "check/%2B" + contact(1), "True"},
		{"TOKEN token=" + testToken, "check/" + strangerNot, "False"},
		{"token token=" + testToken, "message/" + contact(1) + "/hello", "True"},
		{plain, "message/" + strangerNot + "/hello", "False"},
		{plain, "login", "Whatsapp already logged in"},
		{plain, "logout", "Log out successful"},
		{plain, "logout", "Currently not logged into any account"},
	} {
		ask(c.authorization, c.call, c.result)
	}
}

func TestWhatCallersAreToldWhileWhatsAppIsNotThere(t *testing.T) {
	t.Parallel()
	short := map[string]string{"WHATSAPPD_TASK_MAX_AGE": "2s"}
	for _, c := range []struct {
		name     string
		kick     string // how the simulator ends the connection
		state    string // what follows
		settings map[string]string
		results  map[string]string // by call
		login    string            // the result of a log-in then, empty where none is asked for
	}{
		{"banned for a while", "402", "temp_banned", short, map[string]string{
			"check": checkFailed, "message": messageFailed, "logout": logoutFailed,
		}, "Whatsapp already logged in"},
		{"an old version", "405", "outdated", short, map[string]string{
			"check": checkFailed, "message": messageFailed, "logout": logoutFailed,
		}, "Whatsapp already logged in"},
		{"replaced", "replaced", "replaced", short, map[string]string{"check": checkFailed, "message": messageFailed}, "Whatsapp already logged in"},
		{"locked", "406", "locked", short, map[string]string{"check": checkFailed, "message": messageFailed}, "Please scan qr code"},
		{"told not to wait", "402", "temp_banned", map[string]string{"WHATSAPPD_TASK_WHEN_DISCONNECTED": "fail"}, map[string]string{
			"check": notLoggedIn, "message": notLoggedIn,
		}, "Whatsapp already logged in"},
		{"logged out by the phone", "401", "pairing", nil, map[string]string{"check": notLoggedIn, "message": notLoggedIn}, "Please scan qr code"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			maps.Copy(w.settings, c.settings)
			w.serve()
			w.pair()
			w.kickInto(c.kick, c.state)
			segments := map[string][]string{"check": {contact(1)}, "message": {contact(1), "hello"}}
			tasks := map[string]string{} // calls by task
			for call := range c.results {
				tasks[w.ws(call, segments[call]...)] = call
			}
			for id, call := range tasks {
				w.hook.result(id, c.results[call])
			}
			if c.login != "" { // last: it makes the daemon try again
				w.hook.result(w.ws("login"), c.login)
			}
			require.Empty(t, w.inbox(contact(1), 0), "nothing was sent")
		})
	}
}

func TestAnotherNumberWorksOnceItIsConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	w.serve()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "from the first number"), "True")
	w.hook.result(w.ws("logout"), "Log out successful")
	w.hook.result(w.ws("login"), "Please scan qr code")
	w.owners = append(w.owners, contact(2))
	w.scan(contact(2))
	w.eventually("the new number waits for its confirmation", func() bool { return w.status().Confirm })
	waits := w.ws("message", contact(1), "from the second number")

	output, code := w.command("status")
	require.Zero(t, code, output)
	require.Contains(t, output, "login --confirm")
	require.Len(t, w.inbox(contact(1), 1), 1, "nothing is sent under a number that nobody confirmed")
	output, code = w.command("login", "--confirm")
	require.Zero(t, code, output)
	w.hook.result(waits, "True")
	require.Equal(t, contact(2), w.inbox(contact(1), 2)[1].From)
}
