package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

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
	a, err := newApp(ctx, cfg, log, screen)
	if err != nil {
		return err
	}
	return a.Run(ctx)
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

// newSender builds the delivery of callbacks.
func newSender(cfg Config, log *slog.Logger, guard *callback.Guard, keeper callback.Keeper) (*callback.Sender, error) {
	return callback.NewSender(callback.SenderOptions{
		Secrets:       cfg.Callback.secrets(),
		Authorization: string(cfg.Callback.Authorization),
		UserAgent:     "whatsappd/" + version,
		Guard:         guard,
		Logger:        log,
	}, keeper)
}
