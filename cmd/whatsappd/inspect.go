package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// healthTimeout bounds the health check: a daemon that needs longer is not well.
const healthTimeout = 2 * time.Second

type healthcheckCommand struct{ daemon }

// Run asks the daemon on this machine whether it is alive.
func (c *healthcheckCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	cfg, err := cli.config(term, map[string]string{"listen": c.Listen})
	if err != nil {
		return err
	}
	if err := healthy(ctx, cfg.Listen); err != nil {
		return fmt.Errorf("not healthy: %w", err)
	}
	return nil
}

// healthy asks a daemon on this machine whether it is alive.
func healthy(ctx context.Context, listen string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, localURL(listen)+"/healthz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

type configCommand struct {
	Print configPrintCommand `cmd:"" default:"1" help:"Print every setting in effect, secrets hidden."`
}

type configPrintCommand struct{}

// Run prints the settings in effect.
func (c *configPrintCommand) Run(term terminal, cli *commands) error {
	cfg, err := cli.config(term, nil)
	if err != nil {
		return err
	}
	return printConfig(term.out, cfg)
}

type tokenCommand struct {
	New tokenNewCommand `cmd:"" default:"1" help:"Make a token for callers."`
}

type tokenNewCommand struct{}

// Run prints a new token, once: it is kept nowhere.
func (c *tokenNewCommand) Run(term terminal) error {
	_, err := fmt.Fprintln(term.out, newToken())
	return err
}

// printJSON prints an answer of the daemon's API as it came.
func printJSON[T any](ctx context.Context, api *client, term terminal, path string) error {
	var answer T
	if err := api.get(ctx, path, &answer); err != nil {
		return err
	}
	enc := json.NewEncoder(term.out)
	enc.SetIndent("", "  ")
	return enc.Encode(answer)
}
