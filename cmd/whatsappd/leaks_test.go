package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// In every scenario the daemon logs all it can, and at its end everything it said is searched for what it must keep to itself:
// its log, its crash output, its figures, the errors that callers saw, what stood in Slack, and the files of its directory.

// known are the forms of secrets that can be told by their look, and of the numbers that the tests use.
func known() (secret, number *regexp.Regexp) {
	return regexp.MustCompile(`(wad_|whsec_|xox[a-z]-)[0-9A-Za-z_+/=-]{8,}`), regexp.MustCompile(`49176\d{8}`)
}

// secretsOf are the values of settings that nobody may see.
func secretsOf(settings map[string]string) []string {
	var secrets []string
	for _, key := range []string{"TOKEN", "SLACK_TOKEN", "CALLBACK_SECRET", "CALLBACK_AUTHORIZATION", "NOTIFY_URL"} {
		secrets = append(secrets, Secret(settings["WHATSAPPD_"+key]).list()...)
		if file := settings["WHATSAPPD_"+key+"_FILE"]; file != "" {
			content, _ := os.ReadFile(file) // it may have been taken away
			secrets = append(secrets, Secret(content).list()...)
		}
	}
	if proxy, err := url.Parse(settings["WHATSAPPD_PROXY"]); err == nil && proxy.User != nil {
		password, _ := proxy.User.Password()
		secrets = append(secrets, proxy.User.Username(), password)
	}
	return slices.DeleteFunc(secrets, func(s string) bool { return len(s) < 8 }) // tests of settings have some that are none
}

// leaks names what a text gives away of these words, in any of the forms in which they come into a text.
func leaks(text string, words []string) (found []string) {
	for _, word := range words {
		if len(word) > len(text) {
			continue // no form is shorter, and some words are long
		}
		quoted, _ := json.Marshal(word) // a string has no error
		for _, form := range []string{word, strings.Trim(string(quoted), `"`), url.PathEscape(word), url.QueryEscape(word), fmt.Sprintf("%q", word)} {
			if at := strings.Index(text, form); at >= 0 {
				found = append(found, fmt.Sprintf("%q in %q", word, text[max(0, at-200):min(len(text), at+len(form)+200)]))
				break
			}
		}
	}
	return found
}

// discreet checks what a daemon printed: no secret of its settings, no secret at all, no whole number, and one line for each
// record of its log.
func (p *process) discreet(settings map[string]string) {
	p.t.Helper()
	output := p.output()
	if found := leaks(output, secretsOf(settings)); found != nil {
		p.t.Errorf("%s printed a secret: %s", p.name, found)
	}
	secret, number := known()
	for line := range strings.Lines(output) {
		if found := secret.FindString(line); found != "" {
			p.t.Errorf("%s printed something like a secret: %s", p.name, line)
		}
		if found := number.FindString(line); found != "" {
			p.t.Errorf("%s printed a number: %s", p.name, line)
		}
		if strings.HasPrefix(line, `{"time"`) && !json.Valid([]byte(line)) {
			p.t.Errorf("%s did not keep a record to one line: %s", p.name, line)
		}
	}
}

// heard notes an error that a caller saw.
func (w *world) heard(status int, body string) {
	if status/100 == 2 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errors = append(w.errors, body)
}

// readFigures notes the daemon's figures, while it lives.
func (w *world) readFigures(p *process) {
	select {
	case <-p.exited:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.t.Context()), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+"/metrics", nil)
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return // stopped, or so busy that it does not matter
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode == http.StatusOK {
		w.figuresSeen = append(w.figuresSeen, string(body))
	}
}

// discreet checks, once the daemon has ended, that it kept to itself what it must.
func (w *world) discreet() {
	w.t.Helper()
	secrets := secretsOf(w.settings)
	words := append(w.texts(), secrets...)
	_, number := known()
	look := func(where, text string, words []string) {
		if found := leaks(text, words); found != nil {
			w.t.Errorf("%s gives away %s", where, found)
		}
	}
	for _, p := range w.daemons {
		look("the output of "+p.name, p.output(), words)
		look("the output of "+p.name, p.output(), w.keys())
	}
	for _, page := range w.figuresSeen {
		look("/metrics", page, words)
		require.Empty(w.t, number.FindString(page), "/metrics gives away a number")
	}
	w.mu.Lock()
	errors := slices.Clone(w.errors)
	w.mu.Unlock()
	for _, body := range errors {
		look("an error told to a caller", body, words)
		require.Empty(w.t, number.FindString(body), "an error told to a caller gives away a number: %s", body)
	}
	if w.slack != nil {
		for _, text := range w.slack.everything() {
			look("Slack", text, words)
			require.Empty(w.t, number.FindString(text), "Slack gives away a number: %s", text)
		}
	}
	if w.events != nil {
		for _, got := range w.events.all() {
			look("an event", got.Body, words)
			require.Empty(w.t, number.FindString(got.Body), "an event gives away a number: %s", got.Body)
		}
	}
	// Where an event goes stays with it, as a return URL does with its task.
	secrets = slices.DeleteFunc(secrets, func(secret string) bool { return secret == w.settings["WHATSAPPD_NOTIFY_URL"] })
	err := filepath.WalkDir(w.settings["WHATSAPPD_DATA_DIR"], func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		look("the file "+entry.Name(), string(content), secrets)
		return err
	})
	if !os.IsNotExist(err) {
		require.NoError(w.t, err)
	}
}

// texts returns what was written by and to the account, as far as it can be told from other words. A long run has more than can be
// searched for: of those it is the first ones.
func (w *world) texts() []string {
	const most = 100 // of each kind
	var texts []string
	ctx := context.WithoutCancel(w.t.Context())
	if w.daemon != nil {
		db, err := sql.Open("sqlite3", "file:"+w.settings["WHATSAPPD_DATA_DIR"]+"/ledger.db")
		require.NoError(w.t, err)
		defer db.Close()
		rows, err := db.QueryContext(ctx, `SELECT DISTINCT text FROM task LIMIT ?`, most)
		require.NoError(w.t, err)
		defer rows.Close()
		for rows.Next() {
			var text string
			require.NoError(w.t, rows.Scan(&text))
			texts = append(texts, text)
		}
		require.NoError(w.t, rows.Err())
	}
	for _, owner := range w.owners {
		entries, err := w.sim.Inbox(ctx, owner)
		if err != nil {
			continue // the simulator was ended
		}
		for _, entry := range entries[:min(len(entries), most)] {
			texts = append(texts, entry.Text)
		}
	}
	return slices.DeleteFunc(texts, func(text string) bool { return len(text) < 8 }) // shorter ones are also words of ours
}

// keys returns the secret keys of the linked device, as they would stand in a text.
func (w *world) keys() []string {
	path := w.settings["WHATSAPPD_DATA_DIR"] + "/whatsapp.db"
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	db, err := sql.Open("sqlite3", "file:"+path)
	require.NoError(w.t, err)
	defer db.Close()
	rows, err := db.QueryContext(context.WithoutCancel(w.t.Context()), `SELECT noise_key, identity_key, signed_pre_key, adv_key FROM whatsmeow_device`)
	if err != nil {
		return nil // damaged by the test
	}
	defer rows.Close()
	var keys []string
	for rows.Next() {
		four := make([][]byte, 4)
		require.NoError(w.t, rows.Scan(&four[0], &four[1], &four[2], &four[3]))
		for _, key := range four {
			keys = append(keys, hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), base64.StdEncoding.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key))
		}
	}
	require.NoError(w.t, rows.Err())
	return keys
}

// TestNothingSecretIsToldAnywhere has every secret set and many things go wrong, and ends the daemon as a crash does. What is
// searched is in the world's end.
func TestNothingSecretIsToldAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	slack := w.withSlack()
	w.withEvents()
	w.settings["WHATSAPPD_TOKEN"] = testToken + ",canary-second-token-of-some-length"
	w.settings["WHATSAPPD_CALLBACK_AUTHORIZATION"] = "Bearer canary-for-receivers"
	w.settings["WHATSAPPD_LOG_FORMAT"] = "text"
	w.serve()
	slack.wantsFile()
	w.pair()
	w.hook.result(w.ws("message", contact(1), "canary-text to a contact"), "True")
	w.hook.result(w.ws("message", strangerNot, "canary-text to nobody"), "False")
	w.hook.result(w.ws("check", contact(2)), "True")
	require.NoError(t, w.sim.Write(t.Context(), contact(1), ownerPhone, "canary-text from a contact"))
	restore := w.hook.answer(http.StatusInternalServerError)
	failing := w.ws("message", contact(2), "canary-text whose callback fails")
	w.hook.wants(failing)
	for _, request := range []string{
		call("POST", "/ws/message/"+contact(1)+"/canary-text%0D%0Aof-a-bad-call/ftp%3A%2F%2Fcanary-host%2F%3Fcanary-query"),
		call("POST", "/ws/check/"+contact(1)+"x/"+url.PathEscape(w.hook.url("/cb"))),
		call("POST", "/canary-path?token="+testToken),
		strings.ReplaceAll(call("POST", "/ws/login/x"), testToken, "canary-wrong-token-of-some-length"),
		strings.Replace(call("GET", "/v1/tasks/canary-path"), "\r\n\r\n", "\r\nX-Request-Id: canary\r\nCookie: canary-cookie\r\nReferer: http://canary-referer/\r\n\r\n", 1),
	} {
		w.raw(t, request)
	}
	restore()
	require.NoError(t, w.daemon.cmd.Process.Signal(syscall.SIGQUIT))
	require.NotZero(t, w.daemon.wait())
	output := w.daemon.output()
	require.Contains(t, output, "goroutine ", "the stacks are there")
	require.NotContains(t, strings.ReplaceAll(output, "request_id=canary", ""), "canary")
	require.Contains(t, output, " DBG ", "all was logged that can be")
	require.NotContains(t, output, "/cb", "nothing of a return URL but its destination is told")
}

// TestAProxysPasswordIsToldNobody has a proxy that is not there, and one that wants another password.
func TestAProxysPasswordIsToldNobody(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https", "socks5"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			w.settings["WHATSAPPD_PROXY"] = scheme + "://canary-user:canary-password@" + closedAddress(t)
			w.serve()
			w.daemon.wants("the proxy cannot be used")
			for _, path := range []string{"/v1/status", "/v1/pairing"} {
				_, body := w.raw(t, strings.Replace(call("GET", path), "Token token=", "Bearer ", 1))
				require.NotContains(t, body, "canary")
			}
			require.NotContains(t, w.daemon.output(), "canary")
		})
	}
}

func TestALeakIsFound(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`to "a b" now`, `{"text":"a b"}`, "/ws/message/1/a%20b/x", "?q=a+b"} {
		require.Len(t, leaks(text, []string{"a b", "c d"}), 1, text)
	}
	require.Len(t, leaks(`{"text":"a\nb"}`, []string{"a\nb"}), 1)
	require.Empty(t, leaks("a  b", []string{"a b"}))
	secret, number := known()
	for _, text := range []string{"token=" + newToken(), slackToken, "whsec_MDEyMzQ1Njc4OTAxMjM0"} {
		require.NotEmpty(t, secret.FindString(text))
	}
	require.NotEmpty(t, number.FindString("to "+ownerPhone+"@s.whatsapp.net"))
	require.Equal(t, []string{"token-number-one", "token-number-two", "canary-user", "canary-password"}, secretsOf(map[string]string{
		"WHATSAPPD_TOKEN": "token-number-one, token-number-two", "WHATSAPPD_PROXY": "socks5://canary-user:canary-password@127.0.0.1:1", "WHATSAPPD_LISTEN": "127.0.0.1:0",
	}))
}
