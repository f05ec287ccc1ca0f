package simulator_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

var updateOpenAPI = flag.Bool("update", false, "write openapi.json anew")

const openAPIFile = "openapi.json"

// The document is made from the table of calls, the shapes of its types and the comments in the source, and committed.
func TestOpenAPIDocumentIsUpToDate(t *testing.T) {
	t.Parallel()
	wanted := describeControl(t)
	if *updateOpenAPI {
		require.NoError(t, os.WriteFile(openAPIFile, wanted, 0o644))
	}
	committed, err := os.ReadFile(openAPIFile)
	require.NoError(t, err)
	if !bytes.Equal(wanted, committed) { // too long to show
		t.Fatal("openapi.json is not what table, types and comments say; run: go test -run OpenAPI -update ./simulator")
	}
}

func TestOpenAPIDocumentListsWhatIsServed(t *testing.T) {
	t.Parallel()
	server := start(t)
	handler := (&simulator.Control{Server: server}).Handler()
	answered := func(method, path string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(method, "http://127.0.0.1"+path, strings.NewReader("not JSON"))
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, req)
		return answer
	}
	document := answered(http.MethodGet, "/v1/openapi.json")
	require.Equal(t, http.StatusOK, document.Code)
	var listed struct {
		Paths map[string]map[string]struct {
			Summary string `json:"summary"`
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(document.Body.Bytes(), &listed))

	var routes []string
	for path, methods := range listed.Paths {
		for method, described := range methods {
			method = strings.ToUpper(method)
			routes = append(routes, method+" "+path)
			require.NotEmpty(t, described.Summary, path)
			filled := regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(path, "7")
			require.NotContains(t, answered(method, filled).Body.String(), "no such call", "%s %s is not served", method, path)
		}
	}
	var served []string
	for _, call := range simulator.ControlCalls() {
		served = append(served, call.Route)
	}
	require.ElementsMatch(t, served, routes)
	require.Equal(t, http.StatusNotFound, answered(http.MethodGet, "/v1/nothing").Code)
}

// People read docs/simulator.md first: no call may be missing there.
func TestManualListsEveryCall(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/simulator.md")
	require.NoError(t, err)
	for _, call := range simulator.ControlCalls() {
		route := strings.NewReplacer("{number}", "NUMBER", "{device}", "DEVICE", "{id}", "ID").Replace(call.Route)
		require.True(t, bytes.Contains(manual, []byte("`"+route+"`")), "docs/simulator.md does not list %s", route)
	}
}

func TestManualListsEveryFault(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/simulator.md")
	require.NoError(t, err)
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z:-]+)` \\| (.*) \\|$").FindAllStringSubmatch(string(manual), -1) {
		rows[row[1]] = row[2]
	}
	for _, kind := range simulator.FaultKinds() {
		at := kind.At
		if strings.HasPrefix(at, "iq:") && !strings.Contains(rows[at], "`"+kind.Do+"`") {
			at = "iq" // what can be done at every request is listed once
		}
		require.Contains(t, rows[at], "`"+kind.Do+"`", "docs/simulator.md does not list %s at %s", kind.Do, kind.At)
	}
}
