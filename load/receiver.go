package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// receiver takes callbacks and answers at once.
type receiver struct {
	server *httptest.Server

	mu     sync.Mutex
	byTask map[string]delivery
	twice  int // tasks that were told under another webhook ID as well
}

// delivery is the first callback of a task.
type delivery struct {
	webhookID, result string
	at                time.Time
}

func newReceiver() *receiver {
	r := &receiver{byTask: map[string]delivery{}}
	r.server = httptest.NewServer(http.HandlerFunc(r.take))
	return r
}

func (r *receiver) take(w http.ResponseWriter, req *http.Request) {
	var payload struct {
		TaskID string `json:"task_id"`
		Result string `json:"result"`
	}
	if json.NewDecoder(req.Body).Decode(&payload) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	got := delivery{webhookID: req.Header.Get("webhook-id"), result: payload.Result, at: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first, known := r.byTask[payload.TaskID]; !known {
		r.byTask[payload.TaskID] = got
	} else if first.webhookID != got.webhookID {
		r.twice++
	}
	w.WriteHeader(http.StatusNoContent)
}

// tasks is how many were told.
func (r *receiver) tasks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byTask)
}

// about is the callback of a task.
func (r *receiver) about(task string) (delivery, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, known := r.byTask[task]
	return d, known
}
