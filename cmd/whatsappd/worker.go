package main

import (
	"context"
	"errors"
	"time"

	"whatsappd/notify"
	"whatsappd/session"
	"whatsappd/task"
)

// worker lets the account's lane work through the account's session: it turns tasks into calls and answers into outcomes,
// word for word. What an answer means is decided in session, what follows from an outcome in task.
type worker struct {
	account  *session.Account
	notifier *notify.Notifier
	changes  chan struct{} // holds one value when readiness may have changed
}

var _ task.Worker = (*worker)(nil)

// readiness says for each state whether tasks are worked, wait, or are not performed at all.
var readiness = map[session.State]task.Readiness{
	session.Unpaired:   task.NeverReady,
	session.Pairing:    task.NeverReady,
	session.LoggedOut:  task.NeverReady,
	session.Online:     task.Ready,
	session.Connecting: task.Wait,
	session.Degraded:   task.Wait,
	session.Backoff:    task.Wait,
	session.Replaced:   task.Wait,
	session.Outdated:   task.Wait,
	session.TempBanned: task.Wait,
	session.Locked:     task.Wait,
}

// Ready implements task.Worker.
func (w *worker) Ready() (task.Readiness, string, string) {
	status := w.account.Status()
	own := string(status.Number)
	if status.Confirm {
		return task.Wait, "number_unconfirmed", own
	}
	code := status.Reason
	if code == "" {
		code = session.CodeOffline
	}
	if code == session.CodeKeysMissing { // nobody ended the link: what was accepted waits for a new one
		return task.Wait, code, own
	}
	return readiness[status.State], code, own
}

// Changes implements task.Worker.
func (w *worker) Changes() <-chan struct{} { return w.changes }

// StrangersHeld implements task.Worker.
func (w *worker) StrangersHeld() (time.Time, string) { return w.account.Status().StrangersHeld() }

// changed tells the lane to ask Ready again. It never blocks.
func (w *worker) changed() {
	select {
	case w.changes <- struct{}{}:
	default:
	}
}

// NeedsPairing implements task.Worker.
func (w *worker) NeedsPairing() { w.account.NeedsPairing() }

// verdicts says how a check ends for each answer of WhatsApp. An unknown answer is none.
var verdicts = map[session.Verdict]task.Verdict{
	session.Registered:    task.Yes,
	session.NotRegistered: task.No,
}

// Check implements task.Worker.
func (w *worker) Check(ctx context.Context, tasks []task.Task) []task.Outcome {
	numbers := make([]session.Number, len(tasks))
	for i, t := range tasks {
		numbers[i] = session.Number(t.Number)
	}
	answers, err := w.account.Check(ctx, numbers)
	outcomes := make([]task.Outcome, len(tasks))
	for i, number := range numbers {
		answer := answers[number]
		switch verdict, known := verdicts[answer.Verdict]; {
		case known:
			outcomes[i] = task.Succeed(verdict)
		case err != nil:
			outcomes[i] = failed(err)
		default:
			outcomes[i] = task.Later("network_uncertain", "WhatsApp's answer left this number out", 0)
		}
		outcomes[i].Trace = checkTrace(answer)
	}
	return outcomes
}

// checkTrace is what a check found out about a number, and how old WhatsApp's answer is.
func checkTrace(answer session.Checked) task.Trace {
	if answer.At.IsZero() {
		return task.Trace{}
	}
	detail := source(answer.FromCache)
	if answer.FromCache {
		detail += " of " + answer.At.UTC().Format(time.RFC3339)
	}
	return task.Trace{
		Canonical: string(answer.Canonical), LID: answer.LID,
		Steps: []task.Step{{At: time.Now(), What: task.StepChecked, Detail: detail}},
	}
}

// source says where an answer about a number came from.
func source(fromCache bool) string {
	if fromCache {
		return "cache"
	}
	return "server"
}

// Send implements task.Worker.
func (w *worker) Send(ctx context.Context, t task.Task) task.Outcome {
	sent, err := w.account.Send(ctx, session.Message{
		ID:   session.MessageID(t.MessageID),
		To:   session.Number(t.Number),
		LID:  t.LID, // counts for a task without a number
		Text: t.Text,

		Stranger: t.Cold,
	})
	outcome := task.Succeed(task.Yes)
	if err != nil {
		outcome = failed(err)
	}
	outcome.Trace = trace(sent)
	return outcome
}

// trace is what a send found out, as the steps of its task.
func trace(sent session.Sent) task.Trace {
	t := task.Trace{Canonical: string(sent.To), LID: sent.LID}
	step := func(at time.Time, what task.StepName, detail string) {
		if !at.IsZero() {
			t.Steps = append(t.Steps, task.Step{At: at, What: what, Detail: detail})
		}
	}
	step(sent.Checked, task.StepChecked, source(sent.FromCache))
	step(sent.Encrypted, task.StepEncrypted, "")
	step(sent.Written, task.StepWritten, "")
	step(sent.Acked, task.StepAcked, "")
	if sent.OtherDevices {
		t.Warnings = append(t.Warnings, task.WarnDeviceList)
	}
	return t
}

// confirmation is a receipt in the ledger's words.
func confirmation(event session.MessageConfirmed) task.Confirmation {
	c := task.Confirmation{
		Account: string(event.Account), Kind: task.ConfirmationKind(event.Kind), Device: event.Device, At: event.At,
	}
	for _, id := range event.IDs {
		c.MessageIDs = append(c.MessageIDs, string(id))
	}
	return c
}

// reply is what a text that quotes messages of ours says of them; of no message when it quotes none.
func reply(event session.MessageReceived) task.Confirmation {
	c := task.Confirmation{Account: string(event.Account), Kind: task.ConfirmAnswered, Device: event.Device, At: event.At}
	if event.ReplyTo != "" {
		c.MessageIDs = []string{string(event.ReplyTo)}
	}
	return c
}

// Control implements task.Worker.
func (w *worker) Control(ctx context.Context, t task.Task) task.Outcome {
	if t.Kind == task.Logout {
		return w.logout(ctx, t)
	}
	return w.login(ctx)
}

func (w *worker) login(ctx context.Context) task.Outcome {
	round, err := w.account.Pair(ctx)
	if errors.Is(err, session.ErrAlreadyPaired) {
		return task.Succeed(task.AlreadyLoggedIn)
	}
	if err != nil {
		return failed(err)
	}
	if err := w.notifier.Shown(ctx, round.Round, round.CodeIndex); err != nil {
		return task.Later("pair_not_shown", err.Error(), time.Second)
	}
	return task.Succeed(task.CodeShown)
}

func (w *worker) logout(ctx context.Context, t task.Task) task.Outcome {
	err := w.account.Logout(ctx)
	if errors.Is(err, session.ErrNotPaired) && t.MaybeSent && w.account.Status().Reason == session.CodeLogoutRequested {
		return task.Succeed(task.LoggedOut) // by an earlier attempt of which no answer came
	}
	if errors.Is(err, session.ErrNotPaired) {
		return task.Succeed(task.NotLoggedIn)
	}
	if err != nil {
		return failed(err)
	}
	return task.Succeed(task.LoggedOut)
}

// failed turns a failure of the session into an outcome.
func failed(err error) task.Outcome {
	var e *session.Error
	if !errors.As(err, &e) {
		return task.Later("internal", err.Error(), 0)
	}
	if e.Code == session.CodeNotOnWhatsApp {
		return task.Succeed(task.No)
	}
	outcome := task.Outcome{Code: e.Code, Detail: e.Error(), WACode: e.WACode, After: e.After, Uncertain: e.Uncertain}
	switch e.Retry {
	case session.RetryNever:
		outcome.Final, outcome.Verdict = true, task.Failure
	case session.RetryPace:
		outcome.Paced = true
	case session.RetryLater:
		outcome.Counts = true
	case session.RetryOnce:
		outcome.Counts, outcome.Once = true, true
	}
	return outcome
}
