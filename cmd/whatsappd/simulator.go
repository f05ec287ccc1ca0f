package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

type simulatorCommand struct {
	Run  simulatorRunCommand  `cmd:"" default:"withargs" help:"Run the simulated WhatsApp until it is told to stop."`
	Scan simulatorScanCommand `cmd:"" help:"Let a virtual phone scan the running daemon's pairing code."`
}

type simulatorRunCommand struct {
	Addr       string `default:"127.0.0.1:8100" placeholder:"ADDRESS" help:"Where clients connect. Default: 127.0.0.1:8100."`
	Control    string `default:"127.0.0.1:8090" placeholder:"ADDRESS" help:"Where the control API listens. Default: 127.0.0.1:8090."`
	State      string `placeholder:"FILE" help:"Keep everything in this file. Without it all is forgotten at the end."`
	JSON       bool   `name:"json" help:"Print the addresses and the root key as one line of JSON, and nothing else."`
	Quiet      bool   `short:"q" help:"Do not show the chats."`
	Hostile    int    `default:"0" placeholder:"0-100" help:"How bad the network is, 0 to 100: delays, drops, doubled and late stanzas, other orders, reconnects. Default: 0."`
	WebVersion uint32 `default:"0" placeholder:"REVISION" help:"The newest revision of WhatsApp's web client, which clients compare with theirs. Default: none is told."`
	Seed       uint64 `placeholder:"NUMBER" help:"Repeat the mischief of an earlier hostile run, which printed this seed. Default: a new one."`
}

// Run runs the simulator alone.
func (c *simulatorRunCommand) Run(ctx context.Context, term terminal, cli *commands) (err error) {
	if c.Hostile < 0 || c.Hostile > 100 {
		return fmt.Errorf("%w: --hostile lies between 0 and 100", errUsage)
	}
	if c.State != "" {
		if err := makeDir(filepath.Dir(c.State)); err != nil {
			return err
		}
	}
	sim, err := simulator.New(simulator.Options{Addr: c.Addr, StateFile: c.State, Hostile: c.Hostile, Seed: c.Seed, WebVersion: c.WebVersion})
	if err != nil {
		return err
	}
	if err := sim.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sim.Close()) }()
	listener, err := listenLoopback(ctx, c.Control)
	if err != nil {
		return err
	}
	info := sim.Info()
	info.Control = "http://" + listener.Addr().String()
	if c.JSON {
		if err := json.NewEncoder(term.out).Encode(info); err != nil {
			return err
		}
	} else {
		c.welcome(term.out, info)
	}
	parts := newParts(ctx)
	control := parts.start("control", func(ctx context.Context) error {
		return serveUntil(ctx, listener, (&simulator.Control{Server: sim}).Handler())
	})
	if !c.JSON && !c.Quiet {
		view := parts.start("view", (&chatView{sim: sim, out: term.out, colour: isTerminal(term.out)}).run)
		defer view.stop(time.Second)
	}
	<-parts.failed.Done()
	control.stop(time.Second)
	return parts.err()
}

type simulatorScanCommand struct {
	Code    string `arg:"" optional:"" help:"The code's text. Without it the running daemon is asked for its live code."`
	Phone   string `default:"15550100100" placeholder:"NUMBER" help:"Whose phone scans. Default: the sandbox's, 15550100100."`
	Control string `default:"http://127.0.0.1:8090" placeholder:"URL" help:"The simulator's control API. Default: http://127.0.0.1:8090."`
	Token   string `placeholder:"TOKEN" help:"The daemon's token, when it is to be asked for its code."`
	Listen  string `placeholder:"ADDRESS" help:"Where the daemon listens, host:port."`
}

// Run lets a phone scan a code.
func (c *simulatorScanCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	code := c.Code
	if code == "" {
		cfg, err := cli.config(term, map[string]string{"token": c.Token, "listen": c.Listen})
		if err != nil {
			return err
		}
		api, err := newClient(cfg)
		if err != nil {
			return err
		}
		var pairing httpapi.PairingAnswer
		if err := api.get(ctx, "/v1/pairing", &pairing); err != nil {
			return err
		}
		if pairing.Code == "" {
			return fmt.Errorf("the daemon shows no code now (%s)", pairing.State)
		}
		code = pairing.Code
	}
	if err := simulator.NewClient(c.Control).Scan(ctx, c.Phone, code); err != nil {
		return err
	}
	_, err := fmt.Fprintf(term.out, "+%s scanned the code.\n", c.Phone)
	return err
}

// listenLoopback listens on an address of this machine only.
func listenLoopback(ctx context.Context, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if !loopback(listener.Addr()) {
		_ = listener.Close()
		return nil, fmt.Errorf("%w: %s is not a loopback address, and the simulator must not be reached from elsewhere", errUsage, address)
	}
	return listener, nil
}

// serveUntil serves HTTP until the context ends.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// makeDir makes a directory that only this user can read.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	return nil
}
