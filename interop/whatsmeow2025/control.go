package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// control is the simulator's control API, at a base URL that names its version: see docs/simulator.md.
type control struct{ base string }

// entry is what a virtual device shows of a message.
type entry struct {
	ID         string `json:"id"`
	From       string `json:"from"`
	Device     int    `json:"device"`
	SentTo     string `json:"sent_to"`
	Text       string `json:"text"`
	Duplicates int    `json:"duplicates"`
}

// call asks the simulator. An answer that is not 200 is an error.
func (c control) call(ctx context.Context, method, path string, body, answer any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var raw json.RawMessage
	if err := json.NewDecoder(response.Body).Decode(&raw); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s %s", method, path, response.Status, raw)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(raw, answer)
}

// account is what a number in the directory is made of.
type account struct {
	Number     string     `json:"number"`
	Name       string     `json:"name,omitempty"`
	Companions int        `json:"companions,omitempty"`
	Behaviour  *behaviour `json:"behaviour,omitempty"`
}

// behaviour is what a contact does with messages.
type behaviour struct {
	Receipts string `json:"receipts,omitempty"`
}

func (c control) addAccount(ctx context.Context, a account) error {
	return c.call(ctx, http.MethodPost, "/accounts", a, nil)
}

// scan lets an account's phone scan a pairing code.
func (c control) scan(ctx context.Context, number, code string) error {
	return c.call(ctx, http.MethodPost, "/accounts/"+number+"/scan", map[string]string{"code": code}, nil)
}

// write lets an account's phone write a text; it returns the message's ID.
func (c control) write(ctx context.Context, from, to, text string) (string, error) {
	var written struct {
		ID string `json:"id"`
	}
	err := c.call(ctx, http.MethodPost, "/accounts/"+from+"/write", map[string]string{"to": to, "text": text}, &written)
	return written.ID, err
}

// copies waits for what an account's devices decrypted under one ID, until there are so many.
func (c control) copies(ctx context.Context, number, id string, wanted int) ([]entry, error) {
	for known := 0; ; {
		var entries, copies []entry
		path := fmt.Sprintf("/accounts/%s/inbox?min=%d&wait=%s", number, known+1, 10*time.Second)
		if err := c.call(ctx, http.MethodGet, path, nil, &entries); err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.ID == id {
				copies = append(copies, e)
			}
		}
		if len(copies) >= wanted {
			return copies, nil
		}
		if len(entries) <= known {
			return nil, fmt.Errorf("%s decrypted %d copies of %s, not %d", number, len(copies), id, wanted)
		}
		known = len(entries)
	}
}
