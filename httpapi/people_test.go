package httpapi_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

const activity = `"activity":{"hour":{"new_chats":1,"replies":2,"failures":3},"day":{"new_chats":24,"replies":2,"failures":3}}`

func TestANumberIsPutOnTheOptOutListAndTakenOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const contact = `{"number":"5511912345678","contact_id":null,"phone":null,"lid":null,"cold":false,"first_sent_at":"2026-05-04T12:00:00Z"`
	res, body := w.call("POST", "/v1/optout/%2B55%2011%2091234-5678", auth)
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Equal(t, contact+`,"opted_out_at":"2026-05-04T12:00:00Z"}`, body)
	require.Len(t, w.optedOut, 2, "both forms of the number")
	require.Contains(t, w.optedOut, "551112345678")
	_, body = w.call("GET", "/v1/contacts/5511912345678", auth)
	require.Equal(t, contact+`,"opted_out_at":"2026-05-04T12:00:00Z"}`, body)
	res, body = w.call("DELETE", "/v1/optout/5511912345678", auth)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, contact+`}`, body)
	require.Empty(t, w.optedOut)
	_, body = w.call("GET", "/v1/contacts/4915112345678", auth)
	require.Equal(t, `{"number":"4915112345678","contact_id":"c_1","phone":"+4915112345678","lid":"77@lid","cold":false,"first_sent_at":"2026-05-04T12:00:00Z","token":true}`, body)
	for _, method := range []string{"POST", "DELETE"} {
		res, body = w.call(method, "/v1/optout/00", auth)
		require.Equal(t, http.StatusBadRequest, res.StatusCode)
		require.Contains(t, body, `"code":"invalid"`)
		res, _ = w.call(method, "/v1/optout/5511912345678")
		require.Equal(t, http.StatusUnauthorized, res.StatusCode)
	}
	w.api.Stop()
	res, _ = w.call("POST", "/v1/optout/5511912345678", auth)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
}

func TestAPersonIsFoundByLIDAndID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const known = `{"contact_id":"c_2","phone":null,"lid":"88@lid","cold":false,"first_sent_at":"2026-05-04T12:00:00Z"`
	for _, who := range []string{"88@lid", "88%40lid", "c_2"} {
		res, body := w.call("GET", "/v1/contacts/"+who, auth)
		require.Equal(t, http.StatusOK, res.StatusCode, body)
		require.Equal(t, known+`}`, body)
	}
	_, body := w.call("POST", "/v1/optout/88@lid", auth)
	require.Equal(t, known+`,"opted_out_at":"2026-05-04T12:00:00Z"}`, body)
	_, body = w.call("DELETE", "/v1/optout/88@lid", auth)
	require.Equal(t, known+`}`, body)
	for _, who := range []string{"99@lid", "c_3"} {
		res, body := w.call("GET", "/v1/contacts/"+who, auth)
		require.Equal(t, http.StatusNotFound, res.StatusCode)
		require.Contains(t, body, `"code":"no_such_contact"`)
	}
	for _, who := range []string{"@lid", "0@lid", "1x@lid", "123456789012345678901@lid", "88@s.whatsapp.net", "49 151@lid"} {
		res, _ := w.call("GET", "/v1/contacts/"+url.PathEscape(who), auth)
		require.Equal(t, http.StatusBadRequest, res.StatusCode, who)
	}
}

func TestTheStatusCountsTheLastHourAndDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, body := w.call("GET", "/v1/status", auth)
	require.Contains(t, body, activity)
}
