package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"whatsappd/httpapi"
)

// personStep says what a person has to do beside scanning, "" for nothing. A passkey answers only on WhatsApp's own pages, so
// it is the person's browser that asks it.
func personStep(pairing httpapi.PairingAnswer) string {
	switch {
	case pairing.State == "passkey_required" && pairing.Passkey == nil:
		return "WhatsApp wants this account's passkey: run \"whatsappd login\" on the daemon's own machine.\n"
	case pairing.State == "passkey_required":
		return fmt.Sprintf(`WhatsApp wants this account's passkey, until %s. Where your passkey is, open https://web.whatsapp.com in a browser, and
run this in its developer console:

    JSON.stringify((await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(%s)})).toJSON())

Then hand over the line it prints, on this machine: whatsappd login --passkey -
`, pairing.ExpiresAt.Local().Format(time.TimeOnly), pairing.Passkey)
	case pairing.PasskeyCode != "":
		return fmt.Sprintf("The phone shows a code. If it is %s, confirm with: whatsappd login --passkey confirm\n", pairing.PasskeyCode)
	}
	return ""
}

// handPasskeyOver gives the daemon the answer of an authenticator, or the confirmation that the phone showed the same code.
func handPasskeyOver(ctx context.Context, api *client, term terminal, from string) error {
	if from == "confirm" {
		if err := api.post(ctx, "/v1/pairing/passkey/confirm", nil, nil); err != nil {
			return err
		}
		_, err := fmt.Fprintln(term.out, "Confirmed.")
		return err
	}
	answer, err := readAnswer(from)
	if err != nil {
		return err
	}
	var pairing httpapi.PairingAnswer
	if err := api.post(ctx, "/v1/pairing/passkey", answer, &pairing); err != nil {
		return err
	}
	fmt.Fprintln(term.out, "WhatsApp took the passkey.")
	return followPairing(ctx, api, term, pairing)
}

// readAnswer reads what the browser printed: JSON, or a JSON text that holds it, with the quotes a console puts around.
func readAnswer(from string) (json.RawMessage, error) {
	var read []byte
	var err error
	if from == "-" {
		read, err = io.ReadAll(io.LimitReader(os.Stdin, 1<<20))
	} else {
		read, err = os.ReadFile(from)
	}
	if err != nil {
		return nil, fmt.Errorf("read the passkey's answer: %w", err)
	}
	var quoted string
	if json.Unmarshal(read, &quoted) == nil {
		read = []byte(quoted)
	}
	if !json.Valid(read) {
		return nil, errors.New("the passkey's answer is not JSON; give the whole line that the browser's console printed")
	}
	return read, nil
}
