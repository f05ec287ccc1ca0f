package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"whatsappd/store"
)

type backupCommand struct {
	File    string `arg:"" type:"path" help:"The file to make; nothing is overwritten."`
	DataDir string `placeholder:"DIR" help:"The daemon's data directory."`
}

// Run copies the ledger into one file, also while the daemon runs.
func (c *backupCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	cfg, err := cli.config(term, map[string]string{"data_dir": c.DataDir})
	if err != nil {
		return err
	}
	settings, err := openSettings(cfg)
	if err != nil {
		return err
	}
	if err := store.WriteBackup(ctx, cfg.DataDir, c.File, store.Backup{Made: time.Now(), Version: version, Settings: settings}); err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(term.out, "Backed up %s into %s (%d kB). WhatsApp's keys are left out: after a restore the phone is linked again.\n",
		cfg.DataDir, c.File, info.Size()>>10)
	return err
}

// openSettings returns the settings in effect as YAML, without those that are secret.
func openSettings(cfg Config) (string, error) {
	var text bytes.Buffer
	if err := printConfig(&text, cfg); err != nil {
		return "", err
	}
	var open []string
	for line := range strings.Lines(text.String()) {
		if !strings.Contains(line, hidden) {
			open = append(open, line)
		}
	}
	return strings.Join(open, ""), nil
}

type restoreCommand struct {
	File    string `arg:"" type:"path" help:"What \"whatsappd backup\" made."`
	DataDir string `placeholder:"DIR" help:"The data directory to make; it must be empty."`
}

// settingsFile is what the settings of a backup are called beside the restored ledger. It is not used by itself.
const settingsFile = "settings.yaml"

// Run puts a backup into an empty data directory.
func (c *restoreCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	cfg, err := cli.config(term, map[string]string{"data_dir": c.DataDir})
	if err != nil {
		return err
	}
	b, err := store.Restore(ctx, c.File, cfg.DataDir, slog.New(slog.NewTextHandler(term.err, nil)))
	if err != nil {
		return err
	}
	settings := filepath.Join(cfg.DataDir, settingsFile)
	if err := os.WriteFile(settings, []byte(b.Settings), 0o600); err != nil {
		return fmt.Errorf("the ledger is restored, its settings are not: %w", err)
	}
	_, err = fmt.Fprintf(term.out, `Restored the ledger of %s (whatsappd %s) into %s.
The settings of then are in %s, without secrets; they are used when --config names the file.
Next: start the daemon and link the phone again. Remove the old device on the phone first.
`, b.Made.Local().Format(time.DateTime), b.Version, cfg.DataDir, settings)
	return err
}
