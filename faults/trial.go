package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"time"
)

// trial is the run of one fault. Its methods end it when something is not as it must be.
type trial struct {
	ctx      context.Context
	binary   string
	dir      string // for everything the trial keeps; removed at its end
	own      bool   // network and mounts are the trial's own
	long     bool   // of the long set
	cycles   int
	random   *rand.Rand
	result   result
	cleanups []func()
}

// result is what a trial tells: its line of the table.
type result struct {
	ID, Name       string
	Cycles         int
	Accepted, Done int           // tasks that got a 202, and those of them that were done
	Lost           int           // accepted, and then without an end, a callback, or a message on its recipient's phone
	Twice          int           // texts that a recipient was shown twice, tasks that were reported with two IDs
	Serving        time.Duration // the longest from a start to the first answer
	Median         time.Duration // of these times
	Took           time.Duration
	Notes          []string // figures that belong to this fault only
	NotRun         string   // why it was not
	Failure        string   // what was not as it must be
}

// patience bounds every wait for an event. It only names what never came.
const patience = 90 * time.Second

type (
	failure string // ends a trial that found something wrong
	notRun  string // ends a trial that this machine does not allow
)

// runTrial runs one fault in this process and prints its result as JSON.
func runTrial(ctx context.Context, o options) error {
	found := find(o.trial)
	if len(found) != 1 {
		return fmt.Errorf("there is no fault %q", o.trial)
	}
	f := found[0]
	name := fnv.New64a()
	_, _ = name.Write([]byte(f.id)) // never fails
	t := &trial{
		ctx: ctx, binary: o.binary, own: os.Getenv(isolatedEnv) == "yes", long: o.set == "long",
		cycles: cmp.Or(f.cycles(o.set), f.long), // one that is in the long set only was asked for by name
		random: rand.New(rand.NewPCG(o.seed, name.Sum64())),
		result: result{ID: f.id, Name: f.name},
	}
	if t.own {
		if err := settle(); err != nil {
			return err
		}
	}
	var err error
	if t.dir, err = os.MkdirTemp("", "whatsappd-faults-"); err != nil {
		return err
	}
	begun := time.Now()
	t.do(f.run)
	t.result.Took = time.Since(begun)
	return json.NewEncoder(os.Stdout).Encode(t.result)
}

// do runs the fault, and everything that was to be cleaned up, whatever happens.
func (t *trial) do(run func(*trial)) {
	t.cleanup(func() { _ = os.RemoveAll(t.dir) })
	defer func() {
		switch ended := recover().(type) {
		case nil:
		case failure:
			t.result.Failure = string(ended)
		case notRun:
			t.result.NotRun = string(ended)
		default:
			t.result.Failure = fmt.Sprintf("the trial panicked: %v", ended)
		}
		slices.Reverse(t.cleanups)
		for _, clean := range t.cleanups {
			clean()
		}
	}()
	run(t)
}

// cleanup does something at the end, the last first.
func (t *trial) cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

// fail ends the trial. It is for the trial's own goroutine, as is all that calls it.
func (t *trial) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// skip ends the trial because this machine does not allow it.
func (t *trial) skip(format string, args ...any) { panic(notRun(fmt.Sprintf(format, args...))) }

// must ends the trial unless something worked.
func (t *trial) must(err error, what string) {
	if err != nil {
		t.fail("%s: %v", what, err)
	}
}

// check ends the trial unless something holds.
func (t *trial) check(holds bool, format string, args ...any) {
	if !holds {
		t.fail(format, args...)
	}
}

// note keeps a figure for the table.
func (t *trial) note(format string, args ...any) {
	t.result.Notes = append(t.result.Notes, fmt.Sprintf(format, args...))
}

// eventually waits until something holds.
func (t *trial) eventually(what string, holds func() bool) { t.within(patience, what, holds) }

// within waits until something holds, but only so long, and returns how long it took.
func (t *trial) within(limit time.Duration, what string, holds func() bool) time.Duration {
	begun := time.Now()
	for !holds() {
		if time.Since(begun) > limit {
			t.fail("not within %s: %s", limit, what)
		}
		t.pause(20 * time.Millisecond)
	}
	return time.Since(begun)
}

// pause lets time pass that belongs to the fault.
func (t *trial) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.ctx.Done():
		t.fail("interrupted")
	}
}

// between draws a time from the seed.
func (t *trial) between(least, most time.Duration) time.Duration {
	return least + time.Duration(t.random.Int64N(int64(most-least)))
}

// needsOwn skips the trial where it would change the machine's own network or mounts.
func (t *trial) needsOwn() {
	if !t.own {
		t.skip("needs a network and mounts of its own, which this machine does not give to this user")
	}
}

// needsTool skips the trial without a program.
func (t *trial) needsTool(name, from string) {
	if _, err := exec.LookPath(name); err != nil {
		t.skip("needs %s (package %s)", name, from)
	}
}

// command runs a program of the machine.
func (t *trial) command(name string, args ...string) error {
	out, err := exec.CommandContext(t.ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}
