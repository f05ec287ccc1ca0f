package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// message measures messages from the call to their callback, at a rate that leaves room and at the rate of the goal, and then
// stops the daemon in the middle of work.
func message(ctx context.Context, b *bench) error {
	w, err := linked(ctx, b)
	if err != nil {
		return err
	}
	defer w.close()
	warm := w.messages(20) // the sessions with the contacts are made
	if _, _, err := w.endToEnd(ctx, warm, 2*time.Second); err != nil {
		return err
	}
	took, rate, err := w.endToEnd(ctx, w.messages(50), b.span)
	if err != nil {
		return err
	}
	b.tell("accept, sent, acked, callback, 50/s offered", fmt.Sprintf("%.0f/s", rate), "", "50/s")
	b.tell("  p50", ms(percentile(took, 50)), "", "<= 50 ms")
	b.tell("  p99", ms(percentile(took, 99)), "", "<= 500 ms")
	if took, rate, err = w.endToEnd(ctx, w.messages(float64(b.rate)), b.span); err != nil {
		return err
	}
	b.tell(fmt.Sprintf("accept, sent, acked, callback, %d/s offered", b.rate), fmt.Sprintf("%.0f/s", rate), "", ">= 200/s")
	b.tell("  p50, p99", ms(percentile(took, 50))+", "+ms(percentile(took, 99)), "", "")
	return w.stopUnderLoad(ctx)
}

// endToEnd hands messages over for some time and waits for the callback of the last. It returns how long each took from the
// call on, and how many a second were done from the first call to the last callback.
func (w *world) endToEnd(ctx context.Context, d drive, span time.Duration) (took []time.Duration, rate float64, err error) {
	begun := time.Now()
	told := w.hook.tasks()
	handed := d.during(ctx, span)
	if err := handed.err(); err != nil {
		return nil, 0, err
	}
	asked, err := w.keep(handed)
	if err != nil {
		return nil, 0, err
	}
	if err := w.until(ctx, "every task is told of", func() bool { return w.hook.tasks() >= told+len(asked) }); err != nil {
		return nil, 0, err
	}
	last := begun
	for id, at := range asked {
		d, known := w.hook.about(id)
		if !known {
			return nil, 0, errors.New("another task was told of than the one that was accepted")
		}
		took = append(took, d.at.Sub(at))
		if d.at.After(last) {
			last = d.at
		}
	}
	slices.Sort(took)
	return took, float64(len(took)) / last.Sub(begun).Seconds(), nil
}

// stopUnderLoad stops the daemon politely while work comes in and goes out. Calls may be refused then; what was accepted must
// be in the ledger.
func (w *world) stopUnderLoad(ctx context.Context) error {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	handed := make(chan answers)
	d := w.messages(float64(w.bench.rate))
	go func() { handed <- d.run(working) }()
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	took, err := w.daemon.stop()
	cancel()
	if err == nil {
		_, err = w.keep(<-handed)
	}
	if err != nil {
		return err
	}
	w.bench.tell("stop under load", fmt.Sprintf("%.2f s, exit code 0", took.Seconds()), "", "<= 10 s, exit code 0")
	if err := w.reckon(ctx, false); err != nil {
		return err
	}
	if _, err := w.serve(ctx); err != nil {
		return err
	}
	if err := w.allTold(ctx); err != nil {
		return err
	}
	if _, err := w.daemon.stop(); err != nil {
		return err
	}
	return w.reckon(ctx, true)
}

// allTold waits for the callback of everything that was accepted.
func (w *world) allTold(ctx context.Context) error {
	return w.until(ctx, "every task is told of", func() bool {
		for id := range w.accepted {
			if _, told := w.hook.about(id); !told {
				return false
			}
		}
		return true
	})
}
