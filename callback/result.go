package callback

import (
	"encoding/json"
	"net"
	"net/url"
	"strings"

	"whatsappd/task"
)

// TaskName is what callers know a kind of task by.
func TaskName(kind task.Kind) string { return "whatsapp " + string(kind) }

// Result is what a caller is told about a task's end. The texts are a promise: callers compare them.
func Result(kind task.Kind, verdict task.Verdict) string {
	switch verdict {
	case task.Yes:
		return "True"
	case task.No:
		return "False"
	case task.CodeShown:
		return "Please scan qr code"
	case task.AlreadyLoggedIn:
		return "Whatsapp already logged in"
	case task.LoggedOut:
		return "Log out successful"
	case task.NotLoggedIn:
		return "Currently not logged into any account"
	case task.NotPerformed:
		return "Whatsapp Web not logged in, please scan qr code"
	}
	names := map[task.Kind]string{task.Check: "check", task.Message: "messaging", task.Login: "login", task.Logout: "logout"}
	return "Whatsapp " + names[kind] + " failed, exception raised"
}

// payload is the body of a callback.
type payload struct {
	TaskID string `json:"task_id"`
	Result string `json:"result"`
}

// Report is the callback of a finished task; nil when it has no return URL.
func Report(t task.Task) *task.Callback {
	if t.ReturnURL == "" {
		return nil
	}
	body, err := json.Marshal(payload{TaskID: string(t.ID), Result: Result(t.Kind, t.Verdict)})
	if err != nil {
		panic(err) // two strings always marshal
	}
	return &task.Callback{URL: t.ReturnURL, Body: body}
}

// Destination is where a return URL leads, without what may be secret in it: scheme, host and port, in lower case. Empty
// for what is not a URL.
func Destination(returnURL string) string {
	u, err := url.Parse(returnURL)
	if err != nil || u.Host == "" {
		return ""
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}
