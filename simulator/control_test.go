package simulator_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

func TestControlAPIActsOnTheSimulator(t *testing.T) {
	t.Parallel()
	server := start(t)
	web := httptest.NewServer((&simulator.Control{Server: server}).Handler())
	t.Cleanup(web.Close)
	control := simulator.NewClient(web.URL)
	ctx := t.Context()

	info, err := control.Info(ctx)
	require.NoError(t, err)
	require.Equal(t, server.Addr(), info.Address)
	require.Equal(t, server.RootKey(), info.RootKey)
	require.Contains(t, info.Notice, "not WhatsApp")

	require.NoError(t, control.AddAccount(ctx, simulator.AccountSpec{Number: contactNumber(0), Name: "Bea"}))
	require.Error(t, control.AddAccount(ctx, simulator.AccountSpec{Number: "0"}))
	require.Error(t, control.AddAccount(ctx, simulator.AccountSpec{Number: contactNumber(1), Behaviour: simulator.Behaviour{Receipts: "maybe"}}))

	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	require.NoError(t, c.Connect())
	require.NoError(t, control.Scan(ctx, ana, wait[*events.QR](t, c).Codes[0]))
	require.Error(t, control.Scan(ctx, ana, "not a code"))
	wait[*events.Connected](t, c)

	account, err := control.Account(ctx, ana)
	require.NoError(t, err)
	require.Len(t, account.Linked(), 1)
	_, err = control.Account(ctx, "49999999999")
	require.ErrorContains(t, err, "no such account")

	require.NoError(t, control.SetBehaviour(ctx, contactNumber(0), simulator.Behaviour{Echo: true}))
	send(t, c, contactNumber(0), "hello")
	entries, err := control.WaitInbox(ctx, contactNumber(0), 1)
	require.NoError(t, err)
	require.Equal(t, "hello", entries[0].Text)
	require.Equal(t, "hello", wait[*events.Message](t, c).Message.GetConversation())

	require.NoError(t, control.Write(ctx, contactNumber(0), ana, "from outside"))
	require.Equal(t, "from outside", wait[*events.Message](t, c).Message.GetConversation())
	counters, err := control.Counters(ctx)
	require.NoError(t, err)
	require.Equal(t, 1, counters.Pairings)
}

// The client here has had no message: the library reads its store for a push name while a log-out clears it.
func TestControlAPIRemovesDevices(t *testing.T) {
	t.Parallel()
	server := start(t)
	web := httptest.NewServer((&simulator.Control{Server: server}).Handler())
	t.Cleanup(web.Close)
	control := simulator.NewClient(web.URL)
	c := paired(t, server)
	c.log.tolerate()
	account, err := control.Account(t.Context(), ana)
	require.NoError(t, err)
	require.NoError(t, control.RemoveDevice(t.Context(), ana, account.Linked()[0]))
	wait[*events.LoggedOut](t, c)
}

func TestControlAPIRefusesForeignHosts(t *testing.T) {
	t.Parallel()
	server := start(t)
	handler := (&simulator.Control{Server: server}).Handler()
	for host, status := range map[string]int{
		"127.0.0.1:8090": http.StatusOK,
		"localhost:8090": http.StatusOK,
		"[::1]:8090":     http.StatusOK,
		"evil.example":   http.StatusForbidden,
		"10.0.0.1:8090":  http.StatusForbidden,
	} {
		req := httptest.NewRequest(http.MethodGet, "/v1/info", nil)
		req.Host = host
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		require.Equal(t, status, answer.Code, host)
	}
}

func FuzzControlAPIBodies(f *testing.F) {
	f.Add("/v1/accounts", `{"number":"4915100000000","behaviour":{"read_after":"1s"}}`)
	f.Add("/v1/accounts/5511900000001/scan", `{"code":"2@x,y,z"}`)
	f.Add("/v1/accounts/5511900000001/kick", `{"mode":"drop"}`)
	f.Add("/v1/accounts/5511900000001/write", `{"to":"5511900000001","text":"x"}`)
	server, err := simulator.New(simulator.Options{RootPrivate: rootPrivate})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = server.Close() })
	handler := (&simulator.Control{Server: server}).Handler()
	f.Fuzz(func(t *testing.T, path, body string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \t\r\n") {
			return
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1"+path, strings.NewReader(body))
		if err != nil {
			return
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		if answer.Code >= 500 {
			t.Fatalf("%d for %q", answer.Code, body)
		}
	})
}
