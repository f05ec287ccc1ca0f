package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
)

// The tests of bad input are tables whose subtests begin with the row's number in docs/reliability.md, so that
// -run 'TestBad/23_' finds one. Each table has one daemon, and ends by looking for what must not have been left behind.

// door is a daemon whose callers send what they should not.
type door struct {
	*world
	trap *trap // where refused return URLs lead

	sent     map[string]string // bad calls by request id, and what was bad in them
	accepted int
	callers  int // each calls from another address, so that wrong tokens of one do not slow down the others
}

// newDoor starts a daemon that no phone is linked to, with the fullest log.
func newDoor(t *testing.T, contacts int) *door {
	t.Helper()
	d := &door{world: calmWorld(t, contacts), trap: newTrap(t), sent: map[string]string{}}
	d.settings["WHATSAPPD_LOG_LEVEL"] = "debug"
	d.serve()
	return d
}

// back is a return URL at the receiver, escaped once. Its path must not show in the log.
func (d *door) back() string { return url.PathEscape(d.hook.url("/canary")) }

// request is a call with this authorization, which may be empty, under a request id of its own.
func (d *door) request(method, target, authorization string, headers ...string) (request, id string) {
	id = fmt.Sprintf("bad-%d", len(d.sent))
	d.sent[id] = target
	all := append([]string{method + " " + target + " HTTP/1.1", "Host: whatsappd", "X-Request-Id: " + id, "Connection: close"}, headers...)
	if authorization != "" {
		all = append(all, "Authorization: "+authorization)
	}
	return strings.Join(append(all, "", ""), "\r\n"), id
}

const rightToken = "Token token=" + testToken

// ask posts to a path with the right token, and checks what holds for every answer.
func (d *door) ask(t *testing.T, target string, headers ...string) (status int, body string) {
	t.Helper()
	return d.answerTo(t, "POST", target, rightToken, headers...)
}

// answerTo makes a call that is answered by the daemon's own code.
func (d *door) answerTo(t *testing.T, method, target, authorization string, headers ...string) (status int, body string) {
	t.Helper()
	request, _ := d.request(method, target, authorization, headers...)
	res, body := d.send(t, request)
	require.Contains(t, res.Header.Get("Content-Type"), "json", "%.200s: %s", target, body)
	return res.StatusCode, body
}

// send sends bytes and reads one answer, which must not be a redirect, a page or a failure of the daemon's.
func (d *door) send(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	d.callers++
	res, body := d.rawFrom(t, fmt.Sprintf("127.0.%d.%d", 1+d.callers/250, 1+d.callers%250), request)
	require.Less(t, res.StatusCode, 500, "%.200s: %s", request, body)
	require.NotEqual(t, 3, res.StatusCode/100, "%.200s: a redirect", request)
	require.Empty(t, res.Header.Get("Location"), request)
	require.NotContains(t, res.Header.Get("Content-Type"), "html", request)
	require.NotContains(t, strings.ToLower(body), "<html", request)
	return res, body
}

// refused asks and wants a refusal in the old endpoints' shape, whose message holds says.
func (d *door) refused(t *testing.T, says string, targets ...string) {
	t.Helper()
	for _, target := range targets {
		status, body := d.ask(t, target)
		require.Equal(t, http.StatusBadRequest, status, "%.200s: %s", target, body)
		var failure struct{ Status, Message string }
		require.NoError(t, json.Unmarshal([]byte(body), &failure), body)
		require.Equal(t, "failed", failure.Status)
		require.Contains(t, failure.Message, says, "%.200s", target)
	}
}

// bare sends what net/http refuses before any of the daemon's code runs, so that the log has nothing about it.
func (d *door) bare(t *testing.T, status int, requests ...string) {
	t.Helper()
	for _, request := range requests {
		res, body := d.send(t, request)
		require.Equal(t, status, res.StatusCode, "%.200s: %s", request, body)
		require.NotContains(t, res.Header.Get("Content-Type"), "json")
		require.True(t, res.Close, "%.200s: the connection stays open", request)
	}
}

// bareCall is the request of a path that net/http refuses.
func bareCall(target string) string { return call("POST", target) }

// taken asks and returns the task.
func (d *door) taken(t *testing.T, target string, headers ...string) string {
	t.Helper()
	status, body := d.ask(t, target, headers...)
	require.Equal(t, http.StatusAccepted, status, "%.200s: %s", target, body)
	d.accepted++
	return taskID(t, body)
}

// task shows a task.
func (d *door) task(id string) (task httpapi.TaskAnswer) {
	d.t.Helper()
	d.get("/v1/tasks/"+id, &task)
	return task
}

// clean stops the daemon and checks that bad input left one line in the log each, and nothing else anywhere.
func (d *door) clean(t *testing.T) {
	t.Helper()
	var tasks httpapi.TasksAnswer
	d.get("/v1/tasks?limit=500", &tasks)
	require.Len(t, tasks.Tasks, d.accepted, "tasks that were stored")
	require.Empty(t, d.trap.calls(), "connections to where no return URL may lead")
	code, _ := d.daemon.stop()
	require.Zero(t, code)
	log := d.daemon.output()
	lines := map[string]int{}
	id := regexp.MustCompile(`"msg":"request".*"request_id":"(bad-[0-9]+)"`)
	number := regexp.MustCompile(`\b49151[0-9]{2,}`)
	for line := range strings.Lines(log) {
		require.True(t, json.Valid([]byte(line)), "a line of the log is not one line: %s", line)
		for _, secret := range []string{"canary", testToken, "panic"} {
			require.NotContains(t, line, secret)
		}
		require.NotRegexp(t, number, line) // five digits alone are in a time or an ID now and then
		if found := id.FindStringSubmatch(line); found != nil {
			lines[found[1]]++
		}
	}
	for id, target := range d.sent {
		require.Equal(t, 1, lines[id], "lines in the log about %.200s", target)
		require.False(t, strings.Contains(log, argumentsOf(target)), "in the log: %.200s", target)
	}
}

// argumentsOf is what a path holds behind the endpoint.
func argumentsOf(target string) string {
	parts := strings.SplitN(target, "/", 4)
	if len(parts) < 4 || len(parts[3]) < 8 {
		return "an argument that is too short to be looked for"
	}
	return parts[3]
}

// trap is a listener that nothing should connect to.
type trap struct {
	listener net.Listener
	seen     chan string
}

func newTrap(t *testing.T) *trap {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	trap := &trap{listener, make(chan string, 1000)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			trap.seen <- conn.RemoteAddr().String()
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	return trap
}

func (t *trap) port() string {
	_, port, _ := net.SplitHostPort(t.listener.Addr().String())
	return port
}

// calls returns who connected.
func (t *trap) calls() []string {
	var all []string
	for {
		select {
		case from := <-t.seen:
			all = append(all, from)
		default:
			return all
		}
	}
}

func TestEveryRowOfTheManualHasItsTest(t *testing.T) {
	t.Parallel()
	var tests strings.Builder
	for _, pattern := range []string{"*_test.go", "../../*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			tests.Write(text)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| ([0-9–, ]+) \\|.*`(Test\\w+)`(?: in `\\w+`)? \\|$").FindAllStringSubmatch(readShipped(t, "docs/reliability.md"), -1)
	require.NotEmpty(t, rows)
	for _, row := range rows {
		_, body, found := strings.Cut(tests.String(), "func "+row[2]+"(t *testing.T)")
		require.True(t, found, row[2])
		if !strings.HasPrefix(row[2], "TestBad") {
			continue // it has no numbers
		}
		body, _, _ = strings.Cut(body, "\nfunc Test")
		for part := range strings.SplitSeq(row[1], ", ") {
			from, to, isRange := strings.Cut(part, "–")
			if !isRange {
				to = from
			}
			first, err := strconv.Atoi(from)
			require.NoError(t, err, part)
			last, err := strconv.Atoi(to)
			require.NoError(t, err, part)
			for number := first; number <= last; number++ {
				require.Contains(t, body, fmt.Sprintf(`"%d `, number), "%s has no subtest for row %d", row[2], number)
			}
		}
	}
}
