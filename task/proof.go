package task

import "context"

// codeNoCopy is the session's code for a message that WhatsApp took without a copy for the recipient's phone.
const codeNoCopy = "no_recipient_copy"

// proven tells whether a device of the recipient confirmed a message, so that nothing is left to send. A companion's word says
// nothing of the phone when the last attempt left just that out.
func (t Task) proven() bool {
	return t.Delivery >= DeliveryDelivered && (t.DeliveredBy == ByPhone || t.Code != codeNoCopy)
}

// arrived is the outcome of a message that the recipient confirmed before WhatsApp's server did.
func arrived() Outcome {
	return Outcome{Final: true, Verdict: Yes, Detail: "a device of the recipient confirmed it"}
}

// Confirm keeps what a device of a recipient said of messages. One that waits for another try, since nobody knew whether it had
// left, ends: it is not sent again.
func (l *Lane) Confirm(ctx context.Context, c Confirmation) error {
	_, queued, err := l.keeper.Confirm(ctx, c)
	if err != nil {
		return err
	}
	var r record
	for _, t := range queued {
		if t.proven() {
			r.ends = append(r.ends, l.ended(t, arrived()))
		}
	}
	if r.empty() {
		return nil
	}
	if err := l.keep(ctx, &r); err != nil {
		return err
	}
	l.bells.ring(ClassMessage) // somebody may have waited behind it
	return nil
}

// lookedUp is the outcome of an attempt after which nobody knows whether the message had left: a receipt may have come
// meanwhile. Without a ledger that answers the outcome stays, and the next attempt repeats the message under its ID.
func (l *Lane) lookedUp(ctx context.Context, t Task, outcome Outcome) Outcome {
	if outcome.Verdict == Yes || !t.MaybeSent && !outcome.Uncertain {
		return outcome
	}
	now, err := l.keeper.Get(context.WithoutCancel(ctx), t.ID)
	if err != nil {
		l.log.Error("a task could not be read; its receipts are looked at again before the next attempt", "task", string(t.ID), "error", err)
		return outcome
	}
	now.Code = outcome.Code
	if !now.proven() {
		return outcome
	}
	known := arrived()
	known.Trace = outcome.Trace
	return known
}
