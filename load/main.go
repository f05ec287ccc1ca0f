// Command load measures what the daemon can do: accepting work, refusing strangers, messages to their callbacks, a long queue,
// slow clients, idling, starting and stopping. It runs the built daemon against the simulator, from outside, as callers do, and
// a bare handler beside it that does the least there is to do: so the figures can be compared across machines. `make load`
// runs it; docs/reliability.md tells what the figures mean.
//
// No figure fails by being slow. What fails is work that was refused, lost or done twice.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	span   time.Duration // of each measurement
	rate   int           // of accepts and of messages end to end, where the goal names none
	queued int
	slow   int
	drain  time.Duration
	only   string
	binary string
	dir    string
	bare   string // this process is the bare handler, with its database in this directory
}

func main() {
	var o options
	flag.DurationVar(&o.span, "for", 10*time.Second, "how long each figure is measured")
	flag.IntVar(&o.rate, "rate", 200, "messages a second from accept to callback")
	flag.IntVar(&o.queued, "queued", 100_000, "how many messages wait in the queue")
	flag.IntVar(&o.slow, "slow", 10_000, "how many slow clients come")
	flag.DurationVar(&o.drain, "drain", 30*time.Second, "for how long the queue is drained; 0 is to its end")
	flag.StringVar(&o.only, "only", "", "figures to measure, such as accept,idle; empty for all")
	flag.StringVar(&o.binary, "binary", "", "the daemon; empty builds it")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where the databases are: on the disk that is to be measured")
	flag.StringVar(&o.bare, "bare", "", "for the program itself: be the bare handler, with this database")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := measure
	if o.bare != "" {
		run = serveBare
	}
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// figure is one thing that is measured.
type figure struct {
	name string
	run  func(context.Context, *bench) error
}

func figures() []figure {
	return []figure{
		{"size", size}, {"idle", idle}, {"refuse", refuse}, {"accept", accept},
		{"message", message}, {"backlog", backlog}, {"slow", slow},
	}
}

// bench is what all figures share: the flags, a directory, and the table they fill.
type bench struct {
	options
	rows []row
}

// row is a line of the table.
type row struct{ figure, measured, bare, goal string }

// measure takes the chosen figures one after the other and prints them.
func measure(ctx context.Context, o options) error {
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	if err := keepHandles(); err != nil {
		return err
	}
	if o.dir, err = os.MkdirTemp(o.dir, "whatsappd-load-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(o.dir) }()
	if o.binary == "" {
		o.binary = filepath.Join(o.dir, "whatsappd")
		if out, err := exec.CommandContext(ctx, "make", "build", "OUT="+o.binary).CombinedOutput(); err != nil {
			return fmt.Errorf("build the daemon, from the root of the repository: %w\n%s", err, out)
		}
	}
	b := &bench{options: o}
	begun := time.Now()
	for _, f := range chosen {
		at := time.Now()
		if err := f.run(ctx, b); err != nil {
			printTable(os.Stdout, b.rows)
			return fmt.Errorf("%s: %w", f.name, err)
		}
		fmt.Printf("── %s: %s\n", f.name, time.Since(at).Round(100*time.Millisecond))
	}
	printTable(os.Stdout, b.rows)
	fmt.Printf("load: %d processors, %s for each figure, %s\n", runtime.NumCPU(), o.span, time.Since(begun).Round(time.Second))
	return nil
}

// choose returns the figures that were named, all without a name.
func choose(only string) ([]figure, error) {
	if only == "" {
		return figures(), nil
	}
	var chosen []figure
	for name := range strings.SplitSeq(only, ",") {
		at := slices.IndexFunc(figures(), func(f figure) bool { return f.name == strings.TrimSpace(name) })
		if at < 0 {
			return nil, fmt.Errorf("there is no figure %q", name)
		}
		chosen = append(chosen, figures()[at])
	}
	return chosen, nil
}

// tell adds a line to the table. Bare is what the bare handler did, empty where it does nothing like it.
func (b *bench) tell(figure, measured, bare, goal string) {
	b.rows = append(b.rows, row{figure, measured, bare, goal})
}
