package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// backlog lets many messages wait for WhatsApp, kills the daemon, starts it anew and lets it send.
func backlog(ctx context.Context, b *bench) error {
	const rate = 100 // of calls beside the queue
	w, err := linked(ctx, b)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.away(ctx); err != nil {
		return err
	}
	filled, err := w.fill(ctx, b.queued)
	if err != nil {
		return err
	}
	behind := w.messages(rate).during(ctx, b.span)
	if err := behind.err(); err != nil {
		return err
	}
	if _, err := w.keep(behind); err != nil {
		return err
	}
	now, err := w.daemon.memory("VmRSS")
	if err != nil {
		return err
	}
	most, err := w.daemon.memory("VmHWM")
	if err != nil {
		return err
	}
	queued := fmt.Sprintf("%d queued", len(w.accepted))
	b.tell(queued+": RSS", fmt.Sprintf("%s, at most %s", mib(now), mib(most)), "", "<= 150 MiB")
	b.tell("  filled at", fmt.Sprintf("%.0f/s", filled.perSecond()), "", "")
	b.tell(fmt.Sprintf("  accept p50, p99 at %d/s while they wait", rate), ms(behind.percentile(50))+", "+ms(behind.percentile(99)), "", "p99 <= 100 ms")
	w.daemon.kill()
	again, err := w.serve(ctx)
	if err != nil {
		return err
	}
	b.tell("  start after a kill", fmt.Sprintf("%.2f s", again.Seconds()), "", "<= 3 s")
	if err := w.back(ctx); err != nil {
		return err
	}
	return w.drain(ctx, rate)
}

// fill hands over so many messages as fast as answers come.
func (w *world) fill(ctx context.Context, count int) (answers, error) {
	filling, cancel := context.WithCancel(ctx)
	defer cancel()
	d := w.messages(0)
	request := d.request
	d.request = func(n int) []byte {
		if n >= count-clients { // the others have one under way each
			cancel()
		}
		return request(n)
	}
	filled := d.run(filling)
	if err := filled.err(); err != nil {
		return filled, err
	}
	_, err := w.keep(filled)
	return filled, err
}

// drain measures how the queue is worked off while more comes in.
func (w *world) drain(ctx context.Context, rate float64) error {
	before, begun := w.hook.tasks(), time.Now()
	span := w.bench.drain
	if span == 0 {
		span = 100 * 24 * time.Hour
	}
	working, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	handed := make(chan answers)
	d := w.messages(rate)
	go func() { handed <- d.during(working, w.bench.span) }()
	for working.Err() == nil && w.hook.tasks() < len(w.accepted) {
		_ = pause(working, 10*time.Millisecond) // looked at above
	}
	drained := float64(w.hook.tasks()-before) / time.Since(begun).Seconds()
	beside := <-handed
	if err := errors.Join(ctx.Err(), beside.err()); err != nil {
		return err
	}
	if _, err := w.keep(beside); err != nil {
		return err
	}
	most, err := w.daemon.memory("VmHWM")
	if err != nil {
		return err
	}
	w.bench.tell("  drained", fmt.Sprintf("%.0f/s, %d of them", drained, w.hook.tasks()-before), "", ">= 150/s")
	w.bench.tell("  RSS meanwhile", "at most "+mib(most), "", "<= 150 MiB")
	w.bench.tell(fmt.Sprintf("  accept p50, p99 at %.0f/s meanwhile", rate), ms(beside.percentile(50))+", "+ms(beside.percentile(99)), "", "p99 <= 100 ms")
	if w.bench.drain == 0 {
		if err := w.allTold(ctx); err != nil {
			return err
		}
	}
	took, err := w.daemon.stop()
	if err != nil {
		return err
	}
	w.bench.tell("  stop with the rest queued", fmt.Sprintf("%.2f s, exit code 0", took.Seconds()), "", "<= 10 s, exit code 0")
	return w.reckon(ctx, w.bench.drain == 0)
}
