package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/httpapi"
	"whatsappd/session"
)

// mute is an account whose pairing never gets an answer.
type mute struct{ *world }

func (mute) Pair(ctx context.Context) (session.PairingRound, error) {
	<-ctx.Done()
	return session.PairingRound{State: session.PairingStarting}, context.Cause(ctx)
}

func (m mute) PairPhone(ctx context.Context, _ session.Number) (session.PairingRound, error) {
	return m.Pair(ctx)
}

func TestAPairingThatWhatsAppNeverAnswersEndsInTime(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", `{"phone":"+4915112345678"}`} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{t: t, log: &safeBuffer{}}
			guard, err := callback.NewGuard(nil, ownAddresses)
			require.NoError(t, err)
			api, err := httpapi.New(httpapi.Options{Tokens: []string{token}, Account: "default"}, w, w, mute{w}, w, guard, http.NotFoundHandler())
			require.NoError(t, err)
			request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/pairing", strings.NewReader(body))
			request.Header.Set("Authorization", "Bearer "+token)
			answer := httptest.NewRecorder()
			begun := time.Now()
			api.Handler().ServeHTTP(answer, request)
			require.Equal(t, 30*time.Second, time.Since(begun))
			require.Equal(t, http.StatusGatewayTimeout, answer.Code)
			require.Contains(t, answer.Body.String(), `"code":"network_uncertain"`)
		})
	}
}
