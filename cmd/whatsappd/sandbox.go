package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"whatsappd/session"
	"whatsappd/simulator"
)

// The numbers of the sandbox that have a part of their own. They are from the range that is kept free for fiction.
const (
	sandboxPhone    = "15550100100" // the phone that pairs: yours
	sandboxAna      = "15550100101" // reads what she gets and answers
	sandboxStranger = "15550100103" // is not on WhatsApp
)

// sandboxContact is somebody to write to.
type sandboxContact struct {
	number, name, does string
	behaviour          simulator.Behaviour
}

// sandboxContacts are those who can be written to, by number.
func sandboxContacts() []sandboxContact {
	scripts := simulator.Scripts()
	reads := simulator.Behaviour{Receipts: "read", ReadAfter: simulator.Duration(time.Second), Reply: "Thank you, I have read it."}
	return []sandboxContact{
		{sandboxAna, "Ana", "reads, answers", reads},
		{"15550100102", "Ben", "never reads", scripts["never-reads"]},
		{"15550100104", "Cleo", "echoes", scripts["echo"]},
		{"15550100105", "Dan", "knows price and hours", scripts["keyword"]},
		{"15550100106", "Eva", "reads after 30 s", scripts["reads-later"]},
		{"15550100107", "Fay", "blocks you", scripts["blocks"]},
		{"15550100108", "Gus", "changes his phone after every third message", scripts["new-phone"]},
	}
}

type sandboxCommand struct {
	DataDir   string        `default:"sandbox-data" placeholder:"DIR" help:"Where everything is kept, so that a second start is already paired. Default: sandbox-data."`
	Listen    string        `default:"127.0.0.1:8080" placeholder:"ADDRESS" help:"Where the daemon listens. Default: 127.0.0.1:8080."`
	Control   string        `default:"127.0.0.1:8090" placeholder:"ADDRESS" help:"Where the simulator's control API listens. Default: 127.0.0.1:8090."`
	Receiver  string        `default:"127.0.0.1:9000" placeholder:"ADDRESS" help:"Where the callback receiver listens. Default: 127.0.0.1:9000."`
	Scan      string        `enum:"auto,manual" default:"auto" help:"Who scans the pairing code: auto lets the virtual phone do it after a few seconds, manual waits for \"whatsappd simulator scan\"."`
	ScanAfter time.Duration `default:"4s" hidden:""`
}

// sandbox is a daemon with everything around it: a simulated WhatsApp, a receiver for callbacks, and somebody who scans.
type sandbox struct {
	command  *sandboxCommand
	sim      *simulator.Server
	control  net.Listener
	receiver net.Listener
	cfg      Config
	app      *app
	out      io.Writer // shared by several goroutines, a line at a time
	once     sync.Once // the instructions
}

// Run runs daemon and simulator in one process until it is told to stop.
func (c *sandboxCommand) Run(ctx context.Context, term terminal, cli *commands) (err error) {
	s := &sandbox{command: c}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.listen(ctx); err != nil {
		return err
	}
	if s.cfg, err = s.config(cli, term); err != nil {
		return err
	}
	screen := newScreen(s.cfg, term)
	s.out = screen.Above(term.out)
	log := newLogger(s.cfg, besideCodes(screen, term.err), isTerminal(term.err))
	if s.app, err = newApp(ctx, s.cfg, log, screen); err != nil {
		return err
	}
	parts := newParts(ctx)
	s.app.watch = func(event session.Event) { s.watch(parts.failed, event) }
	control := parts.start("control", func(ctx context.Context) error {
		return serveUntil(ctx, s.control, (&simulator.Control{Server: s.sim}).Handler())
	})
	receiver := parts.start("receiver", func(ctx context.Context) error {
		return serveUntil(ctx, s.receiver, http.HandlerFunc(s.receive))
	})
	inboxes := parts.start("inboxes", s.showInboxes)
	s.welcome()
	daemon := parts.start("daemon", func(context.Context) error { return s.app.Run(parts.failed) })
	<-parts.failed.Done()
	<-daemon.done
	inboxes.stop(time.Second)
	receiver.stop(time.Second)
	control.stop(time.Second)
	return parts.err()
}

// listen starts the simulator and takes the addresses, so that a taken one is told before anything is printed.
func (s *sandbox) listen(ctx context.Context) (err error) {
	if err := makeDir(s.command.DataDir); err != nil {
		return err
	}
	s.sim, err = simulator.New(simulator.Options{StateFile: filepath.Join(s.command.DataDir, "simulator.json")})
	if err != nil {
		return err
	}
	if err := s.sim.Start(); err != nil {
		return err
	}
	specs := []simulator.AccountSpec{{Number: sandboxPhone, Name: "You"}, {Number: sandboxStranger, Unregistered: true}}
	for _, c := range sandboxContacts() {
		specs = append(specs, simulator.AccountSpec{Number: c.number, Name: c.name, Behaviour: c.behaviour})
	}
	for _, spec := range specs {
		if err := s.sim.AddAccount(spec); err != nil {
			return err
		}
	}
	if s.control, err = listenLoopback(ctx, s.command.Control); err != nil {
		return err
	}
	s.receiver, err = listenLoopback(ctx, s.command.Receiver)
	return err
}

// config is the daemon's configuration: what the user set, with the simulator as WhatsApp and the pace off.
func (s *sandbox) config(cli *commands, term terminal) (Config, error) {
	values := map[string]string{
		"listen":             s.command.Listen,
		"data_dir":           filepath.Join(s.command.DataDir, "daemon"),
		"simulator.addr":     s.sim.Addr(),
		"simulator.root_key": s.sim.RootKey(),
		"callback.allow":     s.receiver.Addr().String(),
		"pace.off":           "true",
		"pairing.terminal":   "always",
	}
	cfg, err := cli.config(term, values)
	if err != nil {
		return cfg, err
	}
	if len(cfg.tokens()) == 0 {
		values["token_file"] = filepath.Join(cfg.DataDir, "token") // kept, so that lines pasted yesterday still work
	}
	if _, set := cli.Set["log.level"]; !set {
		values["log.level"] = "warn" // the terminal belongs to what happens
	}
	if cfg, err = cli.config(term, values); err != nil {
		return cfg, err
	}
	_, err = cfg.makeToken()
	return cfg, err
}

// welcome prints what the sandbox is and how to use it.
func (s *sandbox) welcome() {
	base := localURL(s.app.listener.Addr().String())
	back := url.PathEscape("http://" + s.receiver.Addr().String() + "/callback")
	auth := fmt.Sprintf("-H 'Authorization: Token token=%s'", s.cfg.tokens()[0])
	s.printf(`
This is not WhatsApp: the daemon below talks to a simulator on this machine. No phone, no internet.

  daemon    %s
  token     %s
  receiver  http://%s (shows every callback here)
  control   http://%s (the simulator's control API)
  data      %s (delete it to start anew)

  +%s  your phone
%s  +%s  is not on WhatsApp

Paste these in another terminal:

  check    curl -X POST %s '%s/ws/check/%s/%s'
  message  curl -X POST %s '%s/ws/message/%s/%s/%s'
  login    curl -X POST %s '%s/ws/login/%s'
  logout   curl -X POST %s '%s/ws/logout/%s'

For the commands of the daemon, such as "whatsappd status":  export WHATSAPPD_TOKEN=%s

`,
		base, s.cfg.tokens()[0], s.receiver.Addr(), s.control.Addr(), s.command.DataDir,
		sandboxPhone, contactLines(), sandboxStranger,
		auth, base, sandboxAna, back,
		auth, base, sandboxAna, "Hello%20Ana", back,
		auth, base, back,
		auth, base, back,
		s.cfg.tokens()[0])
}

// contactLines says who can be written to, a line each.
func contactLines() string {
	var lines strings.Builder
	for _, c := range sandboxContacts() {
		fmt.Fprintf(&lines, "  +%s  %s, %s\n", c.number, c.name, c.does)
	}
	return lines.String()
}

// watch lets the virtual phone scan a live code after a while, or says how a person can.
func (s *sandbox) watch(ctx context.Context, event session.Event) {
	switch event := event.(type) {
	case session.StatusChanged:
		if event.Status.State == session.Online {
			s.printf("● online as +%s\n", event.Status.Number)
		}
	case session.PairingChanged:
		if event.Round.State != session.PairingWaiting {
			return
		}
		if s.command.Scan == "manual" {
			s.once.Do(func() {
				s.printf("Scan it with:  %s\n", s.scanCommand())
			})
			return
		}
		code := event.Round.Code
		s.printf("The virtual phone scans this code in %s …\n", s.command.ScanAfter)
		time.AfterFunc(s.command.ScanAfter, func() {
			if err := s.sim.Scan(ctx, sandboxPhone, code); err != nil && ctx.Err() == nil {
				s.printf("The virtual phone could not scan the code: %v\n", err)
			}
		})
	}
}

// scanCommand is what a person types to let the virtual phone scan.
func (s *sandbox) scanCommand() string {
	return fmt.Sprintf("%s simulator scan --token %s --listen %s --control http://%s",
		os.Args[0], s.cfg.tokens()[0], s.app.listener.Addr(), s.control.Addr())
}

// receive shows a callback and answers 204.
func (s *sandbox) receive(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 64<<10))
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	s.printf("⇠ callback to %s: %s\n", req.URL.Path, body)
	w.WriteHeader(http.StatusNoContent)
}

// showInboxes prints what every recipient read, as it arrives, until the context ends.
func (s *sandbox) showInboxes(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.showInbox(ctx, sandboxPhone, "your phone") })
	for _, c := range sandboxContacts() {
		wg.Go(func() { s.showInbox(ctx, c.number, c.name) })
	}
	wg.Wait()
	return nil
}

func (s *sandbox) showInbox(ctx context.Context, number, name string) {
	shown := len(s.sim.Inbox(number)) // not what an earlier run showed
	for {
		err := s.sim.WaitInbox(ctx, number, func(entries []simulator.Entry) bool { return len(entries) > shown })
		if err != nil {
			return // the sandbox stops
		}
		for _, entry := range s.sim.Inbox(number)[shown:] {
			shown++
			if entry.SentTo != "" {
				s.printf("✉ %s has a copy of what was sent: %s\n", name, entry.Text)
				continue
			}
			s.printf("✉ %s decrypted: %s\n", name, entry.Text)
		}
	}
}

func (s *sandbox) close() error {
	var errs []error
	for _, listener := range []net.Listener{s.control, s.receiver} {
		if listener != nil {
			_ = listener.Close() // closed already when it was served
		}
	}
	if s.app != nil {
		s.app.close()
	}
	if s.sim != nil {
		errs = append(errs, s.sim.Close())
	}
	return errors.Join(errs...)
}

func (s *sandbox) printf(format string, args ...any) {
	fmt.Fprintf(s.out, format, args...)
}
