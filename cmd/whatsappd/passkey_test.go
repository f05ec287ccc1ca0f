package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

func TestAPairingThatWantsAPasskeyTakesItsAnswerOnce(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 1)
	w.account(simulator.AccountSpec{Number: ownerPhone, Name: "Owner", Passkey: true})
	w.serve()
	code := w.code()
	scanned := make(chan error, 1)
	go func() { scanned <- w.sim.Scan(t.Context(), ownerPhone, code) }() // it returns once the passkey was proved
	var pairing httpapi.PairingAnswer
	w.eventually("the passkey is wanted", func() bool {
		pairing = httpapi.PairingAnswer{}
		w.get("/v1/pairing", &pairing)
		return pairing.State == "passkey_required"
	})
	require.NotEmpty(t, pairing.Passkey)
	require.Empty(t, pairing.Code, "no code that could still be scanned")
	require.WithinDuration(t, time.Now().Add(10*time.Minute), *pairing.ExpiresAt, time.Minute, "as long as WhatsApp waits")

	credential, err := w.sim.ProvePasskey(t.Context(), ownerPhone, pairing.Passkey)
	require.NoError(t, err)
	answer := filepath.Join(t.TempDir(), "answer.json")
	require.NoError(t, os.WriteFile(answer, credential, 0o600))
	output, exit := w.command("login", "--passkey", answer)
	require.Zero(t, exit, output)
	require.NoError(t, <-scanned)
	w.online()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.base+"/v1/pairing/passkey", bytes.NewReader(credential))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusConflict, res.StatusCode, "a second answer: %s", body)
	var problem httpapi.Problem
	require.NoError(t, json.Unmarshal(body, &problem))
	require.Equal(t, "no_passkey_wanted", problem.Code)
	w.hook.result(w.ws("message", contact(1), "hello"), "True")
}
