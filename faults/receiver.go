package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// callbackKey signs the callbacks of every trial.
const callbackKey = "whatsappd-faults-callback-key-32"

// receiver is the caller's side: it takes callbacks, checks their signatures and keeps what it got.
type receiver struct {
	server *httptest.Server
	name   string         // that stands for its host in return URLs; empty for the address
	after  func(delivery) // called once the answer has left; nil mostly

	mu     sync.Mutex
	status int           // what it answers
	pause  time.Duration // before it answers
	byTask map[string][]delivery
	forged []string // what was wrong with a callback
	last   time.Time
}

// delivery is one callback as it arrived.
type delivery struct {
	task, result, webhookID string
	at                      time.Time
}

// newReceiver starts a receiver on loopback.
func newReceiver(t *trial) *receiver {
	r := &receiver{status: http.StatusNoContent, byTask: map[string][]delivery{}}
	r.server = httptest.NewServer(http.HandlerFunc(r.take))
	t.cleanup(r.server.CloseClientConnections)
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // its sender was killed
	}
	var payload struct {
		TaskID string `json:"task_id"`
		Result string `json:"result"`
	}
	err = json.Unmarshal(body, &payload)
	got := delivery{task: payload.TaskID, result: payload.Result, webhookID: req.Header.Get("webhook-id"), at: time.Now()}
	r.mu.Lock()
	if wrong := wrongSignature(req.Header, body); err != nil || wrong != "" {
		r.forged = append(r.forged, wrong)
	}
	r.byTask[got.task] = append(r.byTask[got.task], got)
	r.last = got.at
	status, pause, after := r.status, r.pause, r.after
	r.mu.Unlock()
	time.Sleep(pause)
	w.WriteHeader(status)
	if after != nil {
		_ = http.NewResponseController(w).Flush() // fails when its sender was killed
		after(got)
	}
}

// wrongSignature says what is wrong with a callback's signature of Standard Webhooks, if anything.
func wrongSignature(header http.Header, body []byte) string {
	stamp := header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		return "timestamp " + stamp
	}
	mac := hmac.New(sha256.New, []byte(callbackKey))
	_, _ = io.WriteString(mac, header.Get("webhook-id")+"."+stamp+"."+string(body)) // never fails
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); header.Get("webhook-signature") != want {
		return "signature " + header.Get("webhook-signature")
	}
	return ""
}

// answer makes the receiver answer with another status.
func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// think makes the receiver take its time before each answer.
func (r *receiver) think(pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pause = pause
}

// afterwards calls a function each time an answer has left; nil for none.
func (r *receiver) afterwards(f func(delivery)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = f
}

// address is the receiver's host and port.
func (r *receiver) address() string { return r.server.Listener.Addr().String() }

// url is a return URL at the receiver.
func (r *receiver) url() string {
	if r.name != "" {
		return "http://" + r.name + ":" + port(r.address()) + "/cb"
	}
	return r.server.URL + "/cb"
}

// forget drops what was received of some tasks.
func (r *receiver) forget(tasks ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, task := range tasks {
		delete(r.byTask, task)
	}
}

// about returns the callbacks of a task.
func (r *receiver) about(task string) []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]delivery(nil), r.byTask[task]...)
}

// port is the port of a host:port.
func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// secret is the key as the daemon's setting wants it.
func secret() string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(callbackKey)) }
