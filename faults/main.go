// Command faults does to the daemon what machines, networks and people do to it, and looks whether anything was lost or shown
// twice. It runs the built daemon against the simulator, from outside: by signals, mounts, firewalls, a control API and
// receivers that misbehave. docs/reliability.md says which fault is which; `make faults` runs the quick set, `make
// faults-long` all of it.
//
// Each fault runs in a process of its own, where the machine allows it with a network and mounts of its own: so nothing leaves
// the machine, and nothing is left behind. What a machine does not allow is told as "not run", with the reason.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	set      string
	seed     uint64
	only     string
	parallel int
	binary   string // of the daemon; for a trial's process
	trial    string // this process runs one fault and tells its result
}

func main() {
	var o options
	flag.StringVar(&o.set, "set", "quick", "quick or long")
	flag.Uint64Var(&o.seed, "seed", 0, "the same seed kills and cuts at the same moments; 0 takes a new one")
	flag.StringVar(&o.only, "only", "", "faults to run, such as F5 or F5,F8; empty for all of the set")
	flag.IntVar(&o.parallel, "parallel", 6, "how many faults run side by side; most of them wait most of the time")
	flag.StringVar(&o.binary, "binary", "", "the daemon; empty builds it")
	flag.StringVar(&o.trial, "trial", "", "for the program itself: run this fault here")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := runAll
	if o.trial != "" {
		run = runTrial
	}
	err := run(ctx, o)
	if errors.Is(err, errNotOwn) {
		os.Exit(exitNotOwn)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

// runAll runs the faults of a set side by side, each in a process of its own, and prints the table.
func runAll(ctx context.Context, o options) error {
	if o.seed == 0 {
		o.seed = uint64(rand.Uint32()) + 1
	}
	chosen, err := choose(o.set, o.only)
	if err != nil {
		return err
	}
	if o.binary == "" {
		dir, err := os.MkdirTemp("", "whatsappd-faults-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // another user runs it in one of the faults
			return err
		}
		if o.binary, err = build(ctx, dir); err != nil {
			return err
		}
	}
	fmt.Printf("faults: %s set, seed %d\n", o.set, o.seed)
	begun := time.Now()
	results := make([]result, len(chosen))
	var all sync.WaitGroup
	room := make(chan struct{}, o.parallel)
	for i, f := range chosen {
		room <- struct{}{}
		all.Go(func() {
			results[i] = apart(ctx, o, f)
			fmt.Println(results[i].line())
			<-room
		})
	}
	all.Wait()
	printTable(os.Stdout, results)
	fmt.Printf("faults: %s set, seed %d, %s\n", o.set, o.seed, time.Since(begun).Round(time.Second))
	return verdict(results)
}

// build compiles the daemon as it is shipped, with the race detector off.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "whatsappd")
	command := exec.CommandContext(ctx, "go", "build", "-tags", "sqlite_omit_load_extension osusergo netgo nomsgpack",
		"-o", path, "./cmd/whatsappd")
	command.Env = append(os.Environ(), "CGO_CFLAGS=-O2 -g -DSQLITE_ENABLE_QPSG")
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the daemon, from the root of the repository: %w\n%s", err, out)
	}
	return path, nil
}

// apart runs one fault in a process of its own and returns what it told.
func apart(ctx context.Context, o options, f fault) result {
	args := []string{"-trial", f.id, "-set", o.set, "-seed", fmt.Sprint(o.seed), "-binary", o.binary}
	told, err := isolated(ctx, args)
	r := result{ID: f.id, Name: f.name}
	if err == nil {
		err = json.Unmarshal(told, &r)
	}
	if err != nil {
		r.Failure = strings.TrimSpace(fmt.Sprintf("the trial's process ended badly: %v %s", err, told))
	}
	return r
}

// verdict is an error when anything failed.
func verdict(results []result) error {
	var failed []string
	for _, r := range results {
		if r.Failure != "" || r.Lost > 0 || r.Twice > 0 {
			failed = append(failed, r.ID)
		}
	}
	if len(failed) > 0 {
		return errors.New("failed: " + strings.Join(failed, ", "))
	}
	return nil
}
