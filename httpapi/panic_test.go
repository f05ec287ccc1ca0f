package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/httpapi"
	"whatsappd/task"
)

// mistaken takes work with a mistake in it.
type mistaken struct{ *world }

func (mistaken) Accept(context.Context, task.New) (task.Accepted, error) { panic("a mistake") }

func TestAPanicIsOneFailedAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	guard, err := callback.NewGuard([]string{"127.0.0.1:9000"}, ownAddresses)
	require.NoError(t, err)
	counted := 0
	api, err := httpapi.New(httpapi.Options{Tokens: []string{token}, Account: "default", Panicked: func() { counted++ }},
		mistaken{w}, w, w, w, guard, http.NotFoundHandler())
	require.NoError(t, err)
	ask := func(method, path string) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		request.Header.Set("Authorization", "Token token="+token)
		answer := httptest.NewRecorder()
		api.Handler().ServeHTTP(answer, request)
		return answer
	}
	answer := ask(http.MethodPost, "/ws/check/4915112345678/http%3A%2F%2F127.0.0.1%3A9000%2F")
	require.Equal(t, http.StatusInternalServerError, answer.Code)
	require.Contains(t, answer.Body.String(), `"status":"failed"`)
	require.Equal(t, 1, counted)
	require.Equal(t, http.StatusOK, ask(http.MethodGet, "/v1/tasks/0199-id").Code, "the others are answered")
}
