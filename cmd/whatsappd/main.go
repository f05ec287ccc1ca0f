// Command whatsappd is a daemon that is a WhatsApp linked device: callers hand it checks and messages over HTTP and get the
// outcome posted to their return URL. See README.md.
//
// This package reads flags, environment and file, builds the parts, starts and stops them. It knows all the others and none
// of their rules.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // the image has no time zone files

	"github.com/alecthomas/kong"
	"golang.org/x/sys/unix"

	"whatsappd/callback"
)

func main() {
	unix.Umask(0o077) // SQLite makes its files with the default mode
	os.Exit(run(untilSignal(), terminal{os.Stdout, os.Stderr, os.Environ()}, os.Args[1:]))
}

// untilSignal gives a context that ends at the first signal to stop. A second one ends the process at once; both are read
// from one channel, so that the second is not lost however soon it follows.
func untilSignal() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		<-signals
		os.Exit(exitFailed)
	}()
	return ctx
}

// terminal is what a command gets from its process: where to write, and its environment.
type terminal struct {
	out, err io.Writer
	environ  []string
}

// The exit codes of every command.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks a command that was used wrongly.
var errUsage = errors.New("used wrongly")

// commands is the command line.
type commands struct {
	Config string            `short:"c" placeholder:"FILE" help:"Read settings from this YAML file."`
	Set    map[string]string `short:"s" placeholder:"KEY=VALUE" mapsep:"none" help:"Set one setting; wins over environment and file. Can be repeated."`

	Serve       serveCommand       `cmd:"" help:"Run the daemon against WhatsApp."`
	Sandbox     sandboxCommand     `cmd:"" help:"Run the daemon against a simulated WhatsApp: no phone, no internet."`
	Simulator   simulatorCommand   `cmd:"" help:"Run the simulated WhatsApp alone, or act on a running one."`
	Login       loginCommand       `cmd:"" help:"Pair the running daemon with a phone, in this terminal."`
	Logout      logoutCommand      `cmd:"" help:"End the running daemon's link to the phone."`
	Check       checkCommand       `cmd:"" help:"Ask whether numbers are on WhatsApp."`
	Send        sendCommand        `cmd:"" help:"Send a text."`
	Status      statusCommand      `cmd:"" help:"Show the account's state."`
	Tasks       tasksCommand       `cmd:"" help:"List tasks, or show one."`
	Callbacks   callbacksCommand   `cmd:"" help:"List callbacks, or replay one that was given up."`
	Backup      backupCommand      `cmd:"" help:"Copy the ledger into one file; the daemon may run meanwhile."`
	Restore     restoreCommand     `cmd:"" help:"Put a backup into an empty data directory."`
	Doctor      doctorCommand      `cmd:"" help:"Look at everything the daemon needs, and say what is wrong."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask the daemon on this machine whether it is alive: exit code 0 or 1."`
	Configs     configCommand      `cmd:"" name:"config" help:"Show the settings in effect."`
	Token       tokenCommand       `cmd:"" help:"Make a token."`
	Version     versionCommand     `cmd:"" help:"Show the version and what it was built with."`
}

// run parses the arguments, runs one command and returns the exit code.
func run(ctx context.Context, term terminal, args []string) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("whatsappd"),
		kong.Description("A WhatsApp linked device behind four HTTP endpoints."),
		kong.Writers(term.out, term.err),
		kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(term),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(term.err, "whatsappd:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	selected, err := parser.Parse(args)
	if exit >= 0 { // --help was asked for
		return exit
	}
	if err != nil {
		fmt.Fprintf(term.err, "whatsappd: %v\nTry \"whatsappd --help\".\n", err)
		return exitUsage
	}
	switch err := selected.Run(&cli); {
	case err == nil:
		return exitDone
	case errors.Is(err, errUsage):
		fmt.Fprintln(term.err, "whatsappd:", err)
		return exitUsage
	default:
		fmt.Fprintln(term.err, "whatsappd:", err)
		return exitFailed
	}
}

// config reads the settings in effect for a command; values win over every layer.
func (c *commands) config(term terminal, values map[string]string) (Config, error) {
	set := maps.Clone(c.Set)
	if set == nil {
		set = map[string]string{}
	}
	for key, value := range values {
		if value != "" {
			set[key] = value
		}
	}
	cfg, err := loadConfig(c.Config, set, term.environ, readSetting)
	if err == nil {
		_, err = callback.NewGuard(cfg.Callback.Allow, nil) // its list is checked before anything is opened
	}
	if err != nil {
		return cfg, fmt.Errorf("%w:\n%w", errUsage, err)
	}
	return cfg, nil
}
