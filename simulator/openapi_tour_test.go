package simulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// controlExamples are the request bodies that the document shows. The tour sends them, but for codes and the
// passkey request.
func controlExamples() map[string]string {
	return map[string]string{
		"POST /v1/restart":                      `{"pause":"10ms"}`,
		"POST /v1/web-version":                  `{"revision":1035000000}`,
		"POST /v1/accounts":                     `{"number":"4915100000001","name":"Bea","companions":1,"behaviour":{"receipts":"read","read_after":"100ms","reply":"thanks"}}`,
		"POST /v1/accounts/range":               `{"like":{"number":"49152000","unregistered":true},"count":100}`,
		"POST /v1/accounts/{number}/behaviour":  `{"receipts":"read","keywords":{"price":"It is free."},"types":true}`,
		"POST /v1/accounts/{number}/limits":     `{"locked_until":"2099-01-01T00:00:00Z","new_chats":50}`,
		"POST /v1/accounts/{number}/away":       `{"away":false}`,
		"POST /v1/accounts/{number}/identities": `{"identities":""}`,
		"POST /v1/accounts/{number}/prekeys":    `{"left":0}`,
		"POST /v1/accounts/{number}/code":       `{"code":"ABCD-EFGH"}`,
		"POST /v1/accounts/{number}/passkey":    `{"request":{"challenge":"AAAA","timeout":600000,"rpId":"whatsapp.com","allowCredentials":[],"userVerification":"required","extensions":{}}}`,
		"POST /v1/accounts/{number}/scan":       `{"code":"2@ref,noise,identity,secret"}`,
		"POST /v1/accounts/{number}/kick":       `{"mode":"drop"}`,
		"POST /v1/accounts/{number}/write":      `{"to":"5511900000001","text":"hello"}`,
		"POST /v1/accounts/{number}/tokens":     `{"to":"5511900000001"}`,
		"POST /v1/accounts/{number}/online":     `{"online":true}`,
		"POST /v1/accounts/{number}/typing":     `{"to":"5511900000001","typing":true}`,
		"POST /v1/faults":                       `[{"at":"message","do":"late-ack","account":"5511900000001","delay":"100ms","times":1}]`,
	}
}

// tour makes calls and holds requests and answers to the document.
type tour struct {
	t       *testing.T
	base    string
	schemas *jsonschema.Compiler
	made    map[string]bool
}

func newTour(t *testing.T, server *simulator.Server) *tour {
	t.Helper()
	web := httptest.NewServer((&simulator.Control{Server: server}).Handler())
	t.Cleanup(web.Close)
	raw, err := os.ReadFile(openAPIFile)
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	schemas := jsonschema.NewCompiler()
	schemas.AssertFormat()
	require.NoError(t, schemas.AddResource(openAPIFile, document))
	return &tour{t: t, base: web.URL, schemas: schemas, made: map[string]bool{}}
}

// check holds a JSON text to the schema of a call's request or answer.
func (o *tour) check(route, where string, text []byte) error {
	method, path, _ := strings.Cut(route, " ")
	escaped := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path)
	schema, err := o.schemas.Compile(openAPIFile + "#/paths/" + escaped + "/" + strings.ToLower(method) + "/" + where + "/content/application~1json/schema")
	require.NoError(o.t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(o.t, err)
	return schema.Validate(value)
}

// call makes a call with the document's example as body, or with another body.
func (o *tour) call(route, path string, body ...string) []byte {
	o.t.Helper()
	o.made[route] = true
	method, _, _ := strings.Cut(route, " ")
	text, hasBody := controlExamples()[route]
	if len(body) > 0 {
		text, hasBody = body[0], true
	}
	if hasBody {
		require.NoError(o.t, o.check(route, "requestBody", []byte(text)), route)
	}
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.base+path, strings.NewReader(text))
	require.NoError(o.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(o.t, err)
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	require.NoError(o.t, err)
	require.Equal(o.t, http.StatusOK, res.StatusCode, "%s: %s", route, answer)
	require.NoError(o.t, o.check(route, "responses/200", answer), "%s: %s", route, answer)
	return answer
}

// Every call is made once, with the example that the document shows; request and answer are as the document says.
func TestOpenAPIDocumentIsTrue(t *testing.T) {
	t.Parallel()
	server := start(t)
	o := newTour(t, server)
	const bea, account, mine = "4915100000001", "/v1/accounts/4915100000001", "/v1/accounts/" + ana

	o.call("GET /v1/openapi.json", "/v1/openapi.json")
	o.call("GET /v1/info", "/v1/info")
	o.call("POST /v1/web-version", "/v1/web-version")
	o.call("POST /v1/accounts", "/v1/accounts")
	o.call("POST /v1/accounts/range", "/v1/accounts/range")
	o.call("GET /v1/accounts", "/v1/accounts")
	o.call("GET /v1/accounts/{number}", account)

	c := newClient(t, server.Addr(), newStore(t).NewDevice())
	c.log.tolerate() // the connection is cut below
	require.NoError(t, c.Connect())
	code, err := json.Marshal(object{"code": wait[*events.QR](t, c).Codes[0]})
	require.NoError(t, err)
	o.call("POST /v1/accounts/{number}/scan", mine+"/scan", string(code))
	wait[*events.Connected](t, c)

	o.call("POST /v1/accounts/{number}/write", account+"/write")
	require.Equal(t, "hello", wait[*events.Message](t, c).Message.GetConversation())
	var image struct{ ID string }
	require.NoError(t, json.Unmarshal(o.call("POST /v1/accounts/{number}/write", account+"/write",
		`{"to":"5511900000001","text":"look","attachment":{"kind":"image","mime_type":"image/png","data":"iVBORw0KGgo="}}`), &image))
	o.call("POST /v1/faults", "/v1/faults")
	send(t, c, bea, "what is the price?")
	o.call("GET /v1/faults", "/v1/faults")
	o.call("DELETE /v1/faults/{id}", "/v1/faults/1")
	o.call("DELETE /v1/faults", "/v1/faults")
	o.call("GET /v1/fault-kinds", "/v1/fault-kinds")
	o.call("GET /v1/accounts/{number}/inbox", account+"/inbox?min=1&wait=10s")
	o.call("GET /v1/events", "/v1/events?after=1&wait=1s")
	o.call("GET /v1/quiet", "/v1/quiet?wait=10s")
	o.call("GET /v1/accounts/{number}/inbox/{id}/file", mine+"/inbox/"+image.ID+"/file")

	o.call("POST /v1/accounts/{number}/behaviour", account+"/behaviour")
	o.call("POST /v1/accounts/{number}/limits", account+"/limits")
	o.call("POST /v1/accounts/{number}/away", account+"/away")
	o.call("GET /v1/scripts", "/v1/scripts")
	o.call("POST /v1/accounts/{number}/identities", account+"/identities")
	o.call("POST /v1/accounts/{number}/prekeys", account+"/prekeys")
	o.call("POST /v1/accounts/{number}/refresh-devices", account+"/refresh-devices")
	o.call("POST /v1/accounts/{number}/tokens", account+"/tokens")
	o.call("POST /v1/accounts/{number}/online", account+"/online")
	o.call("POST /v1/accounts/{number}/typing", account+"/typing")
	o.call("POST /v1/accounts/{number}/forget-sessions", account+"/forget-sessions")
	o.call("POST /v1/accounts/{number}/companions", account+"/companions")
	o.call("DELETE /v1/accounts/{number}/companions/{device}", account+"/companions/2")
	o.call("POST /v1/accounts/{number}/change-phone", account+"/change-phone")
	o.call("POST /v1/accounts/{number}/change-lid", account+"/change-lid")

	pairInOtherWays(o, server, mine)
	o.call("POST /v1/accounts/{number}/kick", mine+"/kick")
	wait[*events.Disconnected](t, c)
	wait[*events.Connected](t, c) // the library waits 20 s when it is cut off while it connects
	o.call("POST /v1/restart", "/v1/restart")
	wait[*events.Connected](t, c)
	o.call("DELETE /v1/accounts/{number}/devices/{device}", mine+"/devices/1")
	wait[*events.LoggedOut](t, c)
	o.call("GET /v1/counters", "/v1/counters")

	for _, call := range simulator.ControlCalls() {
		require.True(t, o.made[call.Route], "the tour leaves out %s", call.Route)
	}
}

// pairInOtherWays links a client by a typed code, and asks another for a passkey.
func pairInOtherWays(o *tour, server *simulator.Server, mine string) {
	o.t.Helper()
	second, _ := waiting(o.t, server)
	second.log.tolerate()
	code, err := json.Marshal(object{"code": askCode(o.t, second, ana)})
	require.NoError(o.t, err)
	o.call("POST /v1/accounts/{number}/code", mine+"/code", string(code))
	wait[*events.Connected](o.t, second)
	require.NoError(o.t, second.Logout(o.t.Context()))

	const carl = "15550100100"
	require.NoError(o.t, server.AddAccount(simulator.AccountSpec{Number: carl, Passkey: true}))
	third, codes := waiting(o.t, server)
	third.log.tolerate()                                           // it hangs up in the middle of it
	go func() { _ = server.Scan(o.t.Context(), carl, codes[0]) }() // ends with the test
	request, err := json.Marshal(object{"request": wait[*events.PairPasskeyRequest](o.t, third).PublicKey})
	require.NoError(o.t, err)
	var answer struct{ Response types.WebAuthnResponse }
	require.NoError(o.t, json.Unmarshal(o.call("POST /v1/accounts/{number}/passkey", "/v1/accounts/"+carl+"/passkey", string(request)), &answer))
	require.NoError(o.t, third.SendPasskeyResponse(o.t.Context(), &answer.Response))
	wait[*events.PairPasskeyConfirmation](o.t, third)
	third.Disconnect()
}

func TestOpenAPIDocumentRefusesWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	o := newTour(t, start(t))
	for route, body := range map[string]string{
		"POST /v1/accounts":                `{"name":"no number"}`,
		"POST /v1/accounts/{number}/write": `{"to":"5511900000001","txet":"misspelt"}`,
		"POST /v1/accounts/{number}/away":  `{"away":"yes"}`,
		"POST /v1/restart":                 `{"pause":3}`,
	} {
		require.Error(t, o.check(route, "requestBody", []byte(body)), route)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.base+strings.Replace(route[5:], "{number}", ana, 1), strings.NewReader(body))
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_ = res.Body.Close()
		require.Equal(t, http.StatusBadRequest, res.StatusCode, route)
	}
}
