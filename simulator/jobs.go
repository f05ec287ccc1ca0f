package simulator

import (
	"context"
	"sync"
)

// jobQueue runs jobs one after the other, off the path of whoever adds them. The zero value is ready.
type jobQueue struct {
	mu      sync.Mutex
	jobs    []func(context.Context)
	running bool
}

// enqueue adds a job to a queue. After Close it does nothing.
func (s *Server) enqueue(q *jobQueue, job func(context.Context)) {
	s.news.begin()
	q.mu.Lock()
	q.jobs = append(q.jobs, job)
	start := !q.running
	q.running = true
	q.mu.Unlock()
	if start && !s.spawn(func(ctx context.Context) { s.runJobs(ctx, q) }) {
		s.news.end()
	}
}

func (s *Server) runJobs(ctx context.Context, q *jobQueue) {
	for {
		q.mu.Lock()
		if len(q.jobs) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		job := q.jobs[0]
		q.jobs = q.jobs[1:]
		q.mu.Unlock()
		job(ctx)
		s.news.end()
	}
}
