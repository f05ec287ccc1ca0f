package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"whatsappd/callback"
	"whatsappd/notify"
	"whatsappd/session"
)

type serveCommand struct {
	Listen  string `placeholder:"ADDRESS" help:"Where to listen, host:port; port 0 takes a free one."`
	DataDir string `placeholder:"DIR" help:"Where keys and tasks are kept."`
}

// Run runs the daemon until it is told to stop.
func (c *serveCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	cfg, err := cli.config(term, map[string]string{"listen": c.Listen, "data_dir": c.DataDir})
	if err != nil {
		return err
	}
	made, err := cfg.makeToken()
	if err != nil {
		return err
	}
	if len(cfg.tokens()) == 0 {
		return fmt.Errorf("%w: there is no token; make one with \"whatsappd token new\" and give it as WHATSAPPD_TOKEN or WHATSAPPD_TOKEN_FILE", errUsage)
	}
	screen := newScreen(cfg, term)
	log := newLogger(cfg, besideCodes(screen, term.err), isTerminal(term.err))
	if made {
		log.Info("there was no token, so one was made; callers need it", "file", cfg.TokenFile)
	}
	if err := awaitClock(ctx, log, session.LibraryDate()); err != nil {
		log.Info("stopped while it waited for the clock")
		return nil
	}
	a, err := newApp(ctx, cfg, log, screen)
	if err != nil && ctx.Err() != nil {
		log.Info("stopped while it started", "at", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer onHangUp(func() {
		again, err := cli.config(term, nil)
		if err == nil && len(again.tokens()) == 0 {
			err = errors.New("there is no token")
		}
		if err != nil {
			log.Error("the tokens were not read again; the ones before hold", "error", err)
			return
		}
		a.api.SetTokens(again.tokens())
		log.Info("the tokens were read again", "count", len(again.tokens()))
	})()
	return a.Run(ctx)
}

// onHangUp does something at every SIGHUP, until the returned function is called.
func onHangUp(do func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				do()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(ended)
	}
}

// setUpProcess sets what holds for the whole process and must be set before the first client exists.
func setUpProcess(cfg Config, log *slog.Logger) error {
	session.QuietSignal(log)
	if cfg.Simulator.RootKey == "" {
		return nil
	}
	return session.UseRootKey(cfg.Simulator.RootKey)
}

// newScreen builds the terminal's side of what operators see.
func newScreen(cfg Config, term terminal) *notify.Terminal {
	return notify.NewTerminal(term.out, isTerminal(term.out), notify.Mode(cfg.Pairing.Terminal))
}

// besideCodes returns where to write what may share a screen with pairing codes.
func besideCodes(screen *notify.Terminal, w io.Writer) io.Writer {
	if isTerminal(w) {
		return screen.Above(w)
	}
	return w
}

// newNotifier builds what operators see: the terminal, and Slack when there is a token for it.
func newNotifier(cfg Config, log *slog.Logger, screen *notify.Terminal) *notify.Notifier {
	var slack *notify.Slack
	if cfg.Slack.Token != "" {
		slack = notify.NewSlack(notify.SlackOptions{
			Token: string(cfg.Slack.Token), Channel: cfg.Slack.Channel, APIURL: cfg.Slack.APIURL, Logger: log,
		})
	}
	return notify.New(screen, slack, log)
}

// connectionsMost is how many connections clients may have: as the settings say, but no more than half of the handles that the
// system allows. The other half is for files, WhatsApp and callbacks.
func connectionsMost(cfg Config, log *slog.Logger) int {
	var handles syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &handles); err != nil || handles.Cur/2 >= uint64(cfg.Limit.Connections) {
		return cfg.Limit.Connections
	}
	most := max(1, int(handles.Cur/2))
	log.Warn("the system allows few open files; fewer connections are taken than limit.connections says", "open_files", handles.Cur, "connections", most)
	return most
}

// newGuard builds the judge of return URLs, and says what it lets through that it otherwise would not.
func newGuard(cfg Config, log *slog.Logger, own func() []netip.AddrPort) (*callback.Guard, error) {
	guard, err := callback.NewGuard(cfg.Callback.Allow, own)
	if err != nil {
		return nil, fmt.Errorf("callback.allow: %w", err)
	}
	if len(cfg.Callback.Allow) > 0 {
		log.Info("return URLs may be private where callback.allow lists them", "allow", cfg.Callback.Allow)
	}
	if cfg.Notify.URL != "" {
		log.Info("what happens to the account is posted", "destination", callback.Destination(string(cfg.Notify.URL)))
	}
	if wide := guard.Wide(); len(wide) > 0 {
		log.Warn("DANGER: callback.allow opens nearly everything that this machine reaches to whoever has a token; list hosts or narrow networks",
			"networks", wide)
	}
	return guard, nil
}

// newSender builds the delivery of callbacks.
func newSender(cfg Config, log *slog.Logger, guard *callback.Guard, keeper callback.Keeper, panicked func()) (*callback.Sender, error) {
	return callback.NewSender(callback.SenderOptions{
		Secrets:       cfg.Callback.secrets(),
		Authorization: string(cfg.Callback.Authorization),
		UserAgent:     "whatsappd/" + version,
		Guard:         guard,
		Panicked:      panicked,
		Logger:        log,
	}, keeper)
}
