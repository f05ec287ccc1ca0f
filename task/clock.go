package task

import (
	"context"
	"time"
)

const (
	clockTick = 10 * time.Second // how often the clocks are compared
	clockJump = 30 * time.Second // what counts as set, and not as corrected little by little
)

// clock compares the clock on the wall with the one that only counts.
type clock struct {
	now   func() time.Time
	begun time.Time     // by the clock that counts
	wall  time.Time     // when it was looked at last
	ran   time.Duration // the same, by the other
}

func newClock(now func() time.Time) *clock {
	c := &clock{now: now, begun: time.Now()}
	c.setBack()
	return c
}

// setBack returns by how much the clock on the wall was set back since the last call; zero for less than half a minute. A
// clock that was set forward looks like a machine that slept.
func (c *clock) setBack() time.Duration {
	wall, ran := c.now().Round(0), time.Since(c.begun)
	back := (ran - c.ran) - wall.Sub(c.wall)
	first := c.wall.IsZero()
	c.wall, c.ran = wall, ran
	if first || back < clockJump {
		return 0
	}
	return back
}

// watchClock moves what unfinished work waits for when the clock on the wall is set back: it would wait that much longer.
func (l *Lane) watchClock(ctx context.Context, c *clock) error {
	back := c.setBack()
	if back == 0 {
		return nil
	}
	l.log.Warn("the clock was set back; what waits is moved with it", "by", back.Round(time.Second))
	if err := l.keeper.SetBack(ctx, l.opts.Account, back); err != nil {
		c.wall = c.wall.Add(back) // looked at once more
		return err
	}
	l.bells.ring(ClassControl, ClassMessage, ClassCheck)
	l.opts.Finished()
	return nil
}
