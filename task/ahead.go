package task

import (
	"context"
	"time"
)

// open is the class of messages that may go now; empty for none, and until when.
func (l *Lane) open() (class Class, until time.Time) {
	now := l.opts.Now()
	switch {
	case l.all.hold.After(now):
		return "", l.all.hold
	case l.strangers.hold.After(now):
		return ClassWarm, time.Time{}
	}
	return ClassMessage, time.Time{}
}

// take returns the message that was claimed with the end of the one before, or claims one.
func (l *Lane) take(ctx context.Context, class Class) ([]Task, error) {
	tasks := l.claimed
	l.claimed = nil
	if len(tasks) > 0 {
		return tasks, nil
	}
	return l.claim(ctx, class, 1)
}

// giveBack puts a message back that was claimed with the end of the one before and is not to be worked now.
func (l *Lane) giveBack(ctx context.Context) error {
	tasks := l.claimed
	l.claimed = nil
	return l.putBack(ctx, tasks)
}

// ahead is the class of which a message is claimed with the end of the one before: a commit for both is half the waiting for the
// disk. Where messages are paced the next one has to wait anyway.
func (l *Lane) ahead(ctx context.Context) Class {
	if readiness, _, _ := l.worker.Ready(); !l.opts.Pace.Off || readiness != Ready || ctx.Err() != nil {
		return ""
	}
	class, _ := l.open()
	return class
}
