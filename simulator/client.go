package simulator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Client acts on a simulator in another process, over its control API.
type Client struct {
	base string
	http http.Client
}

// NewClient returns a client for the control API at a base URL such as http://127.0.0.1:8090.
func NewClient(base string) *Client {
	return &Client{base: base, http: http.Client{Timeout: controlTime + 5*time.Second}}
}

// Info returns where the simulator is and its root key.
func (c *Client) Info(ctx context.Context) (Info, error) {
	return get[Info](ctx, c, "/v1/info")
}

// Counters returns what happened so far.
func (c *Client) Counters(ctx context.Context) (Counters, error) {
	return get[Counters](ctx, c, "/v1/counters")
}

// SetWebVersion changes the revision of the newest web client: see [Server.SetWebVersion].
func (c *Client) SetWebVersion(ctx context.Context, revision uint32) error {
	return c.post(ctx, "/v1/web-version", webVersionRequest{Revision: revision})
}

// AddAccount adds an account, or changes one.
func (c *Client) AddAccount(ctx context.Context, spec AccountSpec) error {
	return c.post(ctx, "/v1/accounts", spec)
}

// Account describes an account.
func (c *Client) Account(ctx context.Context, number string) (AccountInfo, error) {
	return get[AccountInfo](ctx, c, accountPath(number, ""))
}

// Inbox returns what an account's virtual devices show.
func (c *Client) Inbox(ctx context.Context, number string) ([]Entry, error) {
	return get[[]Entry](ctx, c, accountPath(number, "/inbox"))
}

// WaitInbox returns an account's inbox once it holds at least so many entries; an error when that takes over a minute.
func (c *Client) WaitInbox(ctx context.Context, number string, atLeast int) ([]Entry, error) {
	const rounds, wait = 6, 10 * time.Second
	var entries []Entry
	for range rounds {
		var err error
		entries, err = get[[]Entry](ctx, c, accountPath(number, fmt.Sprintf("/inbox?min=%d&wait=%s", atLeast, wait)))
		if err != nil {
			return nil, err
		}
		if len(entries) >= atLeast {
			return entries, nil
		}
	}
	return entries, fmt.Errorf("the inbox holds %d messages, not %d", len(entries), atLeast)
}

// Write lets an account's phone write a text to another account.
func (c *Client) Write(ctx context.Context, from, to, text string) error {
	return c.Send(ctx, from, Message{To: to, Text: text})
}

// Send lets an account's phone write a message to another account.
func (c *Client) Send(ctx context.Context, from string, m Message) error {
	return c.post(ctx, accountPath(from, "/write"), m)
}

// Content returns the content of the file that came with a message in an account's inbox.
func (c *Client) Content(ctx context.Context, number, messageID string) (File, []byte, error) {
	got, err := get[receivedFile](ctx, c, accountPath(number, "/inbox/"+url.PathEscape(messageID)+"/file"))
	return got.File, got.Data, err
}

// Scan lets an account's phone scan the text of a pairing code; it returns once the client is registered.
func (c *Client) Scan(ctx context.Context, number, code string) error {
	return c.post(ctx, accountPath(number, "/scan"), scanRequest{Code: code})
}

// EnterCode lets an account's phone take a code that its user types; it returns once the client is registered.
func (c *Client) EnterCode(ctx context.Context, number, code string) error {
	return c.post(ctx, accountPath(number, "/code"), codeRequest{Code: code})
}

// ProvePasskey lets the authenticator of an account's owner answer a client's passkey request. Both are JSON as WebAuthn
// words it.
func (c *Client) ProvePasskey(ctx context.Context, number string, request json.RawMessage) (json.RawMessage, error) {
	answer, err := call[passkeyAnswer](ctx, c, http.MethodPost, accountPath(number, "/passkey"), passkeyRequest{request})
	return answer.Response, err
}

// Kick ends the connections of an account's clients: see [Server.Kick] for the modes.
func (c *Client) Kick(ctx context.Context, number, mode string) error {
	return c.post(ctx, accountPath(number, "/kick"), kickRequest{Mode: mode})
}

// SetLimits changes what is held against an account.
func (c *Client) SetLimits(ctx context.Context, number string, limits Limits) error {
	return c.post(ctx, accountPath(number, "/limits"), limits)
}

// SetBehaviour changes what an account does with messages.
func (c *Client) SetBehaviour(ctx context.Context, number string, b Behaviour) error {
	return c.post(ctx, accountPath(number, "/behaviour"), b)
}

// ForgetSessions makes an account's virtual devices lose their Signal sessions.
func (c *Client) ForgetSessions(ctx context.Context, number string) error {
	return c.post(ctx, accountPath(number, "/forget-sessions"), nil)
}

// SetAway takes the network from the virtual devices of an account, or gives it back.
func (c *Client) SetAway(ctx context.Context, number string, away bool) error {
	return c.post(ctx, accountPath(number, "/away"), awayRequest{Away: away})
}

// AddFaults adds faults and returns them with their IDs.
func (c *Client) AddFaults(ctx context.Context, faults ...Fault) ([]Fault, error) {
	return call[[]Fault](ctx, c, http.MethodPost, "/v1/faults", faults)
}

// ClearFaults removes all faults.
func (c *Client) ClearFaults(ctx context.Context) error {
	_, err := call[done](ctx, c, http.MethodDelete, "/v1/faults", nil)
	return err
}

// RemoveDevice lets an account's phone remove a linked client.
func (c *Client) RemoveDevice(ctx context.Context, number string, device uint16) error {
	_, err := call[done](ctx, c, http.MethodDelete, accountPath(number, fmt.Sprintf("/devices/%d", device)), nil)
	return err
}

// accountPath is the path of an account's resource.
func accountPath(number, resource string) string {
	return "/v1/accounts/" + url.PathEscape(number) + resource
}

func (c *Client) post(ctx context.Context, path string, body any) error {
	_, err := call[json.RawMessage](ctx, c, http.MethodPost, path, body)
	return err
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, http.MethodGet, path, nil)
}

func call[T any](ctx context.Context, c *Client, method, path string, body any) (answer T, err error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return answer, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(encoded))
	if err != nil {
		return answer, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return answer, fmt.Errorf("the simulator's control API: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		var failed controlError
		if err := json.NewDecoder(res.Body).Decode(&failed); err != nil || failed.Error == "" {
			return answer, fmt.Errorf("the simulator's control API answered %s", res.Status)
		}
		return answer, errors.New(failed.Error)
	}
	return answer, json.NewDecoder(res.Body).Decode(&answer)
}
