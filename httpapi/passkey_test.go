package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/httpapi"
	"whatsappd/session"
)

// keyed is an account whose pairing waits for a passkey.
type keyed struct {
	*world
	taken, confirmed int
}

func (k *keyed) AnswerPasskey(context.Context, json.RawMessage) error {
	k.taken++
	return nil
}

func (k *keyed) ConfirmPasskey(context.Context) error {
	k.confirmed++
	return nil
}

func TestAPasskeyIsTakenOnTheDaemonsOwnMachineOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from, proxy string // the address that calls, and the header that a proxy on this machine adds
		here        bool
	}{
		"this machine":                     {"127.0.0.1:40000", "", true},
		"this machine, IPv6":               {"[::1]:40000", "", true},
		"the network":                      {"192.0.2.7:40000", "", false},
		"the network, IPv6":                {"[2001:db8::7]:40000", "", false},
		"a private network":                {"172.17.0.1:40000", "", false},
		"a proxy on this machine":          {"127.0.0.1:40000", "X-Forwarded-For", false},
		"a proxy that names nobody":        {"127.0.0.1:40000", "Via", false},
		"a proxy by the standard":          {"127.0.0.1:40000", "Forwarded", false},
		"a proxy with a header of its own": {"[::1]:40000", "X-Real-Ip", false},
		"an address that is none":          {"@", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, log: &safeBuffer{}}
			w.round = session.PairingRound{Round: 1, State: session.PairingPasskey, Passkey: `{"challenge":"canary"}`}
			guard, err := callback.NewGuard(nil, ownAddresses)
			require.NoError(t, err)
			account := &keyed{world: w}
			api, err := httpapi.New(httpapi.Options{Tokens: []string{token}, Account: "default"}, w, w, account, w, guard, http.NotFoundHandler())
			require.NoError(t, err)
			call := func(method, path, with string) (int, string) {
				request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(`{"id":"x"}`))
				request.RemoteAddr = test.from
				if with != "" {
					request.Header.Set("Authorization", "Bearer "+with)
				}
				if test.proxy != "" {
					request.Header.Set(test.proxy, "192.0.2.7")
				}
				answer := httptest.NewRecorder()
				api.Handler().ServeHTTP(answer, request)
				return answer.Code, answer.Body.String()
			}

			_, body := call(http.MethodGet, "/v1/pairing", token)
			require.Contains(t, body, `"state":"passkey_required"`)
			require.Equal(t, test.here, strings.Contains(body, "canary"), "the challenge is shown here and nowhere else: %s", body)
			for _, path := range []string{"/v1/pairing/passkey", "/v1/pairing/passkey/confirm"} {
				status, _ := call(http.MethodPost, path, "")
				require.Equal(t, http.StatusUnauthorized, status, "without a token")
				status, body := call(http.MethodPost, path, token)
				if test.here {
					require.Equal(t, http.StatusOK, status, body)
					continue
				}
				require.Equal(t, http.StatusForbidden, status, body)
				require.Contains(t, body, `"code":"not_from_here"`)
				require.NotContains(t, body, "canary")
			}
			want := 0
			if test.here {
				want = 1
			}
			require.Equal(t, want, account.taken)
			require.Equal(t, want, account.confirmed)
		})
	}
}
