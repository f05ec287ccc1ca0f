package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// asked is one piece of work that a client handed over.
type asked struct {
	kind, number, text string
	returnURL          string
	elsewhere          bool   // the return URL is not the receiver's: no callback is waited for
	registered         bool   // of a check: what the answer must be
	key                string // the Idempotency-Key, so that it can be repeated after an unknown outcome
	id                 string // of the task, once it was accepted
}

// message is the next message, with a text that nothing else has.
func (w *world) message(number string) asked {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number++
	return asked{kind: "message", number: number, text: fmt.Sprintf("message %d", w.number), returnURL: w.hook.url(), key: fmt.Sprintf("key-%d", w.number)}
}

// check is the next check, of a number that is on WhatsApp or is not.
func (w *world) checkOf(number string) asked {
	a := w.message(number)
	a.kind, a.text, a.registered = "check", "", number != stranger
	return a
}

// path is where the work is handed over.
func (a asked) path() string {
	path := "/ws/" + a.kind + "/" + a.number
	if a.kind == "message" {
		path += "/" + url.PathEscape(a.text)
	}
	return path + "/" + url.PathEscape(a.returnURL)
}

// ask hands work over once. When it is accepted it is on the client's list, which the checker compares with everything else.
func (w *world) ask(ctx context.Context, a asked) (asked, error) {
	begun := time.Now()
	res, err := w.call(ctx, http.MethodPost, a.path(), nil, a.key)
	if err != nil {
		w.refuse("no answer")
		return a, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.refuse("half an answer")
		return a, err
	}
	var answer struct {
		Data struct {
			TaskID string `json:"task_id"`
		} `json:"data"`
	}
	if res.StatusCode != http.StatusAccepted || json.Unmarshal(body, &answer) != nil {
		w.refuse(fmt.Sprint(res.StatusCode))
		return a, fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(body)))
	}
	a.id = answer.Data.TaskID
	w.mu.Lock()
	defer w.mu.Unlock()
	w.accepted = append(w.accepted, a)
	w.answers = append(w.answers, time.Since(begun))
	return a, nil
}

func (w *world) refuse(answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused[answer]++
}

// send hands a message over that must be accepted.
func (w *world) send(number string) asked {
	a, err := w.ask(w.ctx, w.message(number))
	w.must(err, "hand over a message")
	return a
}

// load is clients that hand over work all the time.
type load struct {
	cancel context.CancelFunc
	all    sync.WaitGroup
}

// load starts clients that each hand over some work, pause, and so on: three messages for two checks. What got no answer, or
// was refused, is repeated under the same key until it is accepted.
func (w *world) load(clients int, pause time.Duration) *load {
	l := &load{}
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(w.ctx)
	w.cleanup(l.stop)
	for range clients {
		random := rand.New(rand.NewPCG(w.random.Uint64(), 1))
		l.all.Go(func() {
			for sleep(ctx, pause) {
				a := w.message(contact(random.IntN(contacts)))
				switch random.IntN(5) {
				case 0:
					a = w.checkOf(a.number)
				case 1:
					a = w.checkOf(stranger)
				}
				for {
					if _, err := w.ask(context.WithoutCancel(ctx), a); err == nil || !sleep(ctx, 20*time.Millisecond) {
						break
					}
				}
			}
		})
	}
	return l
}

// stop lets the clients end; what they have on its way they wait for.
func (l *load) stop() {
	l.cancel()
	l.all.Wait()
}

// sleep pauses, and is false when the context ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
