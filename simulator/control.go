package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Notice is what the control API says of itself in every description.
const Notice = "This is not WhatsApp. It is a simulator for tests; its keys, accounts and messages are made up."

const (
	maxControlBody  = 1 << 20
	maxControlWait  = 30 * time.Second
	controlPatience = 30 * time.Second // for scans and writes
)

// Info says where a simulator is and which root key its clients must trust.
type Info struct {
	Address string `json:"address"`           // host:port for clients
	RootKey string `json:"root_key"`          // hex of 32 bytes
	Control string `json:"control,omitempty"` // base URL of the control API
	Hostile int    `json:"hostile,omitempty"` // 1 to 100 on a hostile server, with its seed
	Seed    uint64 `json:"seed,omitempty"`
	Notice  string `json:"notice,omitempty"`
}

// Info describes the server.
func (s *Server) Info() Info {
	info := Info{Address: s.Addr(), RootKey: s.RootKey(), Notice: Notice}
	if s.opts.Hostile > 0 {
		info.Hostile, info.Seed = s.opts.Hostile, s.opts.Seed
	}
	return info
}

// AccountInfo describes an account.
type AccountInfo struct {
	Number     string       `json:"number"`
	LID        string       `json:"lid"`
	Name       string       `json:"name,omitempty"`
	Registered bool         `json:"registered"`
	Behaviour  Behaviour    `json:"behaviour,omitzero"`
	Devices    []DeviceInfo `json:"devices"`
}

// DeviceInfo describes one of an account's devices.
type DeviceInfo struct {
	ID        uint16 `json:"id"`
	Linked    bool   `json:"linked"` // a client that paired; false for a virtual device
	Connected bool   `json:"connected"`
	Waiting   int    `json:"waiting"` // stanzas it has not acknowledged
}

// Linked returns the numbers of the clients that paired with the account.
func (a AccountInfo) Linked() []uint16 {
	var ids []uint16
	for _, d := range a.Devices {
		if d.Linked {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// Account describes one account.
func (s *Server) Account(number string) (AccountInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.directory.byNumber[number]
	if a == nil {
		return AccountInfo{}, errNoAccount
	}
	return a.info(), nil
}

// Accounts describes all accounts, by number.
func (s *Server) Accounts() []AccountInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := []AccountInfo{}
	for _, a := range s.directory.sorted() {
		infos = append(infos, a.info())
	}
	return infos
}

func (a *account) info() AccountInfo {
	info := AccountInfo{Number: a.number, LID: a.lid, Name: a.name, Registered: a.registered, Behaviour: a.behaviour}
	for _, id := range slices.Sorted(maps.Keys(a.devices)) {
		d := a.devices[id]
		info.Devices = append(info.Devices, DeviceInfo{ID: id, Linked: d.linked(), Connected: d.conn != nil, Waiting: len(d.waiting)})
	}
	return info
}

var errNoAccount = errors.New("no such account")

// Control is the JSON API by which tests and people act on a simulator: add accounts, scan codes, write messages, look into
// inboxes. It asks for no password; serve it on a loopback address only.
type Control struct{ Server *Server }

// Handler serves the API. Requests that name another host than a loopback one are refused, so that no web page can reach it.
func (c *Control) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, answer func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, answer) })
	}
	handle("GET /v0/info", c.info)
	handle("GET /v0/counters", func(*http.Request) (any, error) { return c.Server.Counters(), nil })
	handle("GET /v0/accounts", func(*http.Request) (any, error) { return c.Server.Accounts(), nil })
	handle("POST /v0/accounts", c.addAccount)
	handle("GET /v0/accounts/{number}", func(r *http.Request) (any, error) { return c.Server.Account(r.PathValue("number")) })
	handle("GET /v0/accounts/{number}/inbox", c.inbox)
	handle("POST /v0/accounts/{number}/write", c.write)
	handle("POST /v0/accounts/{number}/scan", c.scan)
	handle("POST /v0/accounts/{number}/kick", c.kick)
	handle("POST /v0/accounts/{number}/behaviour", c.behaviour)
	handle("POST /v0/accounts/{number}/forget-sessions", c.forget)
	handle("DELETE /v0/accounts/{number}/devices/{device}", c.removeDevice)
	return mux
}

// serve refuses foreign hosts, limits the body and writes the answer.
func (c *Control) serve(w http.ResponseWriter, r *http.Request, answer func(*http.Request) (any, error)) {
	w.Header().Set("Content-Type", "application/json")
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		writeControlError(w, http.StatusForbidden, errors.New("the control API answers requests to loopback addresses only"))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
	value, err := answer(r)
	switch {
	case errors.Is(err, errNoAccount):
		writeControlError(w, http.StatusNotFound, err)
	case err != nil:
		writeControlError(w, http.StatusBadRequest, err)
	default:
		_ = json.NewEncoder(w).Encode(value) // the client has gone
	}
}

func writeControlError(w http.ResponseWriter, status int, err error) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(controlError{err.Error()}) // the client has gone
}

// controlError is the answer to a request that failed.
type controlError struct {
	Error string `json:"error"`
}

// done is the answer of what has nothing to tell.
type done struct {
	OK bool `json:"ok"`
}

func (c *Control) info(*http.Request) (any, error) {
	return c.Server.Info(), nil
}

func (c *Control) addAccount(r *http.Request) (any, error) {
	spec, err := decode[AccountSpec](r.Body)
	if err != nil {
		return nil, err
	}
	if err := c.Server.AddAccount(spec); err != nil {
		return nil, err
	}
	return c.Server.Account(spec.Number)
}

// inbox answers with an account's inbox, at once or as soon as it holds so many entries.
func (c *Control) inbox(r *http.Request) (any, error) {
	number := r.PathValue("number")
	if _, err := c.Server.Account(number); err != nil {
		return nil, err
	}
	atLeast, wait := 0, time.Duration(0)
	var err error
	if text := r.FormValue("min"); text != "" {
		if atLeast, err = strconv.Atoi(text); err != nil {
			return nil, fmt.Errorf("min: %w", err)
		}
	}
	if text := r.FormValue("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait > maxControlWait {
			return nil, fmt.Errorf("wait must be a duration of up to %s, such as 10s", maxControlWait)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	// Too few in time is an answer as well: the caller counts.
	_ = c.Server.WaitInbox(ctx, number, func(entries []Entry) bool { return len(entries) >= atLeast })
	entries := c.Server.Inbox(number)
	if entries == nil {
		entries = []Entry{}
	}
	return entries, nil
}

// writeRequest asks for a message from the account to another.
type writeRequest struct {
	To   string `json:"to"`
	Text string `json:"text"`
}

// written names the message.
type written struct {
	ID string `json:"id"`
}

func (c *Control) write(r *http.Request) (any, error) {
	in, err := decode[writeRequest](r.Body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), controlPatience)
	defer cancel()
	id, err := c.Server.Write(ctx, r.PathValue("number"), in.To, in.Text)
	return written{id}, err
}

// scanRequest holds the text of a pairing code.
type scanRequest struct {
	Code string `json:"code"`
}

func (c *Control) scan(r *http.Request) (any, error) {
	in, err := decode[scanRequest](r.Body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), controlPatience)
	defer cancel()
	return done{true}, c.Server.Scan(ctx, r.PathValue("number"), in.Code)
}

// kickRequest says how the connections of an account's clients end: see [Server.Kick].
type kickRequest struct {
	Mode string `json:"mode"`
}

func (c *Control) kick(r *http.Request) (any, error) {
	in, err := decode[kickRequest](r.Body)
	if err != nil {
		return nil, err
	}
	return done{true}, c.Server.Kick(r.PathValue("number"), in.Mode)
}

func (c *Control) behaviour(r *http.Request) (any, error) {
	in, err := decode[Behaviour](r.Body)
	if err != nil {
		return nil, err
	}
	return done{true}, c.Server.SetBehaviour(r.PathValue("number"), in)
}

func (c *Control) forget(r *http.Request) (any, error) {
	if _, err := c.Server.Account(r.PathValue("number")); err != nil {
		return nil, err
	}
	c.Server.ForgetSessions(r.PathValue("number"))
	return done{true}, nil
}

func (c *Control) removeDevice(r *http.Request) (any, error) {
	device, err := strconv.ParseUint(r.PathValue("device"), 10, 16)
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	return done{true}, c.Server.RemoveDevice(r.PathValue("number"), uint16(device))
}

// decode reads exactly one JSON value without unknown fields.
func decode[T any](body io.Reader) (T, error) {
	var value T
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return value, fmt.Errorf("the body must be JSON as docs/simulator.md shows: %w", err)
	}
	if decoder.More() {
		return value, errors.New("the body must be one JSON value")
	}
	return value, nil
}
