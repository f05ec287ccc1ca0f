package callback_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/task"
)

func TestResultsAreTheTextsCallersCompare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    task.Kind
		verdict task.Verdict
		want    string
	}{
		{task.Check, task.Yes, "True"},
		{task.Check, task.No, "False"},
		{task.Message, task.Yes, "True"},
		{task.Message, task.No, "False"},
		{task.Login, task.CodeShown, "Please scan qr code"},
		{task.Login, task.AlreadyLoggedIn, "Whatsapp already logged in"},
		{task.Logout, task.LoggedOut, "Log out successful"},
		{task.Logout, task.NotLoggedIn, "Currently not logged into any account"},
		{task.Check, task.NotPerformed, "Whatsapp Web not logged in, please scan qr code"},
		{task.Message, task.NotPerformed, "Whatsapp Web not logged in, please scan qr code"},
		{task.Check, task.Failure, "Whatsapp check failed, exception raised"},
		{task.Message, task.Failure, "Whatsapp messaging failed, exception raised"},
		{task.Login, task.Failure, "Whatsapp login failed, exception raised"},
		{task.Logout, task.Failure, "Whatsapp logout failed, exception raised"},
	} {
		require.Equal(t, c.want, callback.Result(c.kind, c.verdict))
	}
	require.Equal(t, "whatsapp check", callback.TaskName(task.Check))
	require.Equal(t, "whatsapp message", callback.TaskName(task.Message))
	require.Equal(t, "whatsapp login", callback.TaskName(task.Login))
	require.Equal(t, "whatsapp logout", callback.TaskName(task.Logout))
}

func TestReportsHaveTwoKeys(t *testing.T) {
	t.Parallel()
	report := callback.Report(task.Task{ID: "0199", Kind: task.Check, Verdict: task.Yes, ReturnURL: "http://host/cb"})
	require.Equal(t, "http://host/cb", report.URL)
	require.Equal(t, `{"task_id":"0199","result":"True"}`, string(report.Body))
	require.Nil(t, callback.Report(task.Task{ID: "0199", Kind: task.Check, Verdict: task.Yes}))
}

func TestDestinationsHideWhatMayBeSecret(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://Host/secret?token=1":    "http://host:80",
		"https://host/x":                "https://host:443",
		"HTTP://HOST:9000/cb":           "http://host:9000",
		"http://[::1]:7/x":              "http://[::1]:7",
		"https://user:password@host/cb": "https://host:443",
		"nonsense":                      "",
		"":                              "",
	} {
		require.Equal(t, want, callback.Destination(given), given)
	}
}
