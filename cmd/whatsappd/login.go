package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whatsappd/httpapi"
	"whatsappd/notify"
	"whatsappd/session"
)

type loginCommand struct {
	daemon
	Confirm bool   `help:"Confirm that another number than before was paired on purpose."`
	Phone   string `placeholder:"NUMBER" help:"Link the phone with this number by a code to type there, instead of one to scan."`
	Passkey string `placeholder:"FILE" help:"Hand over the answer of your passkey, as JSON; - reads it from standard input, confirm says that the phone showed the same code."`
}

// Run shows the pairing codes of the running daemon until a phone has scanned one.
func (c *loginCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	if c.Confirm {
		if err := api.post(ctx, "/v1/pairing/confirm", nil, nil); err != nil {
			return err
		}
		_, err := fmt.Fprintln(term.out, "The paired number is confirmed.")
		return err
	}
	if c.Passkey != "" {
		return handPasskeyOver(ctx, api, term, c.Passkey)
	}
	var status httpapi.StatusAnswer
	if err := api.get(ctx, "/v1/status", &status); err != nil {
		return err
	}
	if status.Number != "" {
		_, err := fmt.Fprintf(term.out, "Already logged in as +%s.\n", status.Number)
		return err
	}
	var pairing httpapi.PairingAnswer
	if err := api.post(ctx, "/v1/pairing", httpapi.PairingRequest{Phone: c.Phone}, &pairing); err != nil {
		return err
	}
	return followPairing(ctx, api, term, pairing)
}

// followPairing draws the round's codes as the daemon's own terminal does, says what else a person has to do, and returns with
// the round's end. When a code to type was asked for, it is shown instead.
func followPairing(ctx context.Context, api *client, term terminal, pairing httpapi.PairingAnswer) error {
	screen := notify.NewTerminal(term.out, isTerminal(term.out), notify.Always)
	typed := pairing.PhoneCode
	if typed != "" {
		fmt.Fprintf(term.out, "On the phone +%s, open WhatsApp's notice (or Linked devices, Link a device, Link with phone number), and type:\n\n    %s\n\n",
			pairing.Phone, typed)
	}
	asked := ""
	for {
		if typed == "" {
			screen.Observe(session.PairingChanged{Round: pairingRound(pairing)})
		}
		if step := personStep(pairing); step != asked {
			asked = step
			fmt.Fprint(term.out, step)
		}
		switch {
		case typed != "" && pairing.State == "waiting_scan" && pairing.PhoneCode != typed:
			return errors.New("not logged in: the code to type is void; run this again for another")
		case pairing.State == "paired":
			_, err := fmt.Fprintln(term.out, "Logged in.")
			return err
		case pairing.State == "expired" || pairing.State == "refused" || pairing.State == "stopped":
			return fmt.Errorf("not logged in: the pairing round ended as %s (%s); run this again for another", pairing.State, pairing.Reason)
		}
		select {
		case <-ctx.Done():
			return errors.New("stopped waiting; the pairing round goes on")
		case <-time.After(500 * time.Millisecond):
		}
		pairing = httpapi.PairingAnswer{}
		if err := api.get(ctx, "/v1/pairing", &pairing); err != nil {
			return err
		}
	}
}

// pairingRound is the round that an answer of the API shows.
func pairingRound(p httpapi.PairingAnswer) session.PairingRound {
	round := session.PairingRound{
		Round: p.Round, State: session.PairingState(p.State), Code: p.Code, CodeIndex: p.CodeIndex, CodeCount: p.CodeCount,
		Reason: p.Reason, Detail: p.Detail,
	}
	if p.ExpiresAt != nil {
		round.ExpiresAt = *p.ExpiresAt
	}
	return round
}

type logoutCommand struct{ daemon }

// Run ends the link to the phone.
func (c *logoutCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	api, err := c.client(cli, term)
	if err != nil {
		return err
	}
	return perform(ctx, api, term, httpapi.TaskRequest{Kind: "logout"}, map[string]string{
		"logged_out":    "Logged out.",
		"not_logged_in": "Not logged in.",
	})
}
