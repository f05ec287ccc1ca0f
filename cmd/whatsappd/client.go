package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"whatsappd/httpapi"
	"whatsappd/session"
)

// client talks to the running daemon for the commands of an operator.
type client struct {
	base  string
	token string
	http  *http.Client
}

// newClient returns a client for the daemon these settings describe.
func newClient(cfg Config) (*client, error) {
	tokens := cfg.tokens()
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%w: the daemon's token is needed, as WHATSAPPD_TOKEN or WHATSAPPD_TOKEN_FILE", errUsage)
	}
	return &client{base: localURL(cfg.Listen), token: tokens[0], http: &http.Client{Timeout: time.Minute}}, nil
}

// localURL is where a daemon with this listen address answers on its own machine.
func localURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// get reads a JSON answer.
func (c *client) get(ctx context.Context, path string, answer any) error {
	return c.do(ctx, http.MethodGet, path, nil, answer)
}

// post sends a JSON body, or none, and reads a JSON answer.
func (c *client) post(ctx context.Context, path string, body, answer any) error {
	return c.do(ctx, http.MethodPost, path, body, answer)
}

func (c *client) do(ctx context.Context, method, path string, body, answer any) error {
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w\nIs the daemon running? Its address is the setting \"listen\" (%s)", err, c.base)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return refusal(res)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(answer)
}

// refusal turns an answer that is not 2xx into an error that says what the daemon said.
func refusal(res *http.Response) error {
	var problem struct {
		Title   string `json:"title"`
		Detail  string `json:"detail"`
		Message string `json:"message"`
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	_ = json.Unmarshal(body, &problem) // not JSON: the status has to do
	for _, text := range []string{problem.Detail, problem.Message, problem.Title} {
		if text != "" {
			return fmt.Errorf("the daemon answered %s: %s", res.Status, text)
		}
	}
	return fmt.Errorf("the daemon answered %s", res.Status)
}

// waitsForLink tells whether a task waits because the account is logged out.
func (c *client) waitsForLink(ctx context.Context, t httpapi.TaskAnswer) bool {
	if t.State != "queued" || t.Kind != "check" && t.Kind != "message" {
		return false
	}
	var status httpapi.StatusAnswer
	err := c.get(ctx, "/v1/status", &status)
	return err == nil && (status.Reason == session.CodeLoggedOut || status.Reason == session.CodeLogoutRequested)
}

// finished waits for a task's end and returns it.
func (c *client) finished(ctx context.Context, id string) (httpapi.TaskAnswer, error) {
	pause := 50 * time.Millisecond
	for {
		var t httpapi.TaskAnswer
		if err := c.get(ctx, "/v1/tasks/"+id, &t); err != nil {
			return t, err
		}
		if t.State == "done" || t.State == "failed" {
			return t, nil
		}
		if c.waitsForLink(ctx, t) { // which may take long
			return t, fmt.Errorf("the account is not logged in; task %s waits for a new link: \"whatsappd login\" shows a code to scan", id)
		}
		select {
		case <-ctx.Done():
			return t, fmt.Errorf("stopped waiting; task %s goes on: \"whatsappd tasks %s\" shows it", id, id)
		case <-time.After(pause):
			pause = min(2*pause, time.Second)
		}
	}
}
