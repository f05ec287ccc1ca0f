// Command interop holds clients that others wrote against the simulator: Baileys, with a codec and a Signal library of its
// own, and a whatsmeow of 2025. It starts a simulator, lets one client after the other run its steps, and then asks the
// simulator whether it met anything it did not know. `make interop` builds what it needs and runs it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"whatsappd/simulator"
)

const (
	clientPatience = 2 * time.Minute  // for all steps of one client
	stopPatience   = 10 * time.Second // for the simulator's end
)

// clients are the programs that run the steps, from the root of the repository.
func clients() [][]string {
	return [][]string{
		{"node", "interop/baileys/interop.js"},
		{"bin/whatsmeow2025"},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	started := time.Now()
	info, stop, err := startSimulator(ctx)
	if err != nil {
		return fmt.Errorf("start the simulator: %w", err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	for _, command := range clients() {
		if err := runClient(ctx, info, command); err != nil {
			return fmt.Errorf("%v: %w", command, err)
		}
	}
	counters, err := simulator.NewClient(info.Control).Counters(ctx)
	if err != nil {
		return err
	}
	if complaints := complaints(counters); len(complaints) > 0 {
		return fmt.Errorf("the simulator is not content: %v", complaints)
	}
	fmt.Printf("ok  simulator: %d pairings, %d messages, %d decrypted, nothing unknown, no problems (%.1f s)\n",
		counters.Pairings, counters.Messages, counters.Decrypted, time.Since(started).Seconds())
	return nil
}

// startSimulator starts a simulator of its own on free ports; stop ends it and waits for that.
func startSimulator(ctx context.Context) (info simulator.Info, stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	sim := exec.CommandContext(ctx, "bin/whatsappd", "simulator", "--addr", "127.0.0.1:0", "--control", "127.0.0.1:0", "--json")
	sim.Stderr = os.Stderr
	sim.Cancel = func() error { return sim.Process.Signal(os.Interrupt) }
	sim.WaitDelay = stopPatience
	stop = func() error {
		cancel()
		if err := sim.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("the simulator's end: %w", err)
		}
		return nil
	}
	out, err := sim.StdoutPipe()
	if err != nil {
		cancel()
		return info, nil, err
	}
	if err := sim.Start(); err != nil {
		cancel()
		return info, nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &info)
	}
	if err != nil {
		return info, nil, errors.Join(err, stop())
	}
	return info, stop, nil
}

// runClient lets a client run its steps, in bounded time.
func runClient(ctx context.Context, info simulator.Info, command []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, clientPatience, fmt.Errorf("not done in %s", clientPatience))
	defer cancel()
	client := exec.CommandContext(ctx, command[0], command[1:]...)
	client.Stdout, client.Stderr = os.Stdout, os.Stderr
	client.Env = append(os.Environ(),
		"SIMULATOR_ADDRESS="+info.Address,
		"SIMULATOR_ROOT_KEY="+info.RootKey,
		"SIMULATOR_API="+info.Control+"/v1",
	)
	if err := client.Run(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// complaints is what must be nothing after calm traffic.
func complaints(c simulator.Counters) []string {
	var all []string
	for kind, n := range c.Unhandled {
		all = append(all, fmt.Sprintf("not known: %s, %d times", kind, n))
	}
	for _, problem := range c.Problems {
		all = append(all, "problem: "+problem)
	}
	for name, n := range map[string]int{
		"decrypt_failed":      c.DecryptFailed,
		"no_recipient_copy":   c.NoRecipientCopy,
		"bad_device_identity": c.BadDeviceIdentity,
		"missing_devices":     c.MissingDevices,
		"duplicate_ids":       c.DuplicateIDs,
		"replayed":            c.Replayed,
		"ack_errors":          c.AckErrors,
	} {
		if n > 0 {
			all = append(all, fmt.Sprintf("%s: %d", name, n))
		}
	}
	return all
}
