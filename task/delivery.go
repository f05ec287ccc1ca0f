package task

import (
	"slices"
	"time"
)

// Delivery is how far a message got, as far as WhatsApp has told. It only grows: what comes late changes nothing.
type Delivery int

// The deliveries, in order. A task of another kind than a message stays at Accepted.
const (
	DeliveryAccepted   Delivery = iota // kept here; WhatsApp's server has not confirmed it
	DeliveryServerAck                  // WhatsApp's server took it, with a copy for the recipient's phone
	DeliveryTimeout                    // the server took it, and no device confirmed it in Options.DeliveryTimeout
	DeliveryUnreadable                 // a device of the recipient asked for it again as often as it may, and could not open it
	DeliveryDelivered                  // a device of the recipient has it
	DeliveryRead                       // the recipient has read it
)

// String returns the name that callers see.
func (d Delivery) String() string {
	names := [...]string{"accepted", "server_ack", "undelivered_timeout", "undecryptable_by_recipient", "delivered", "read"}
	if d < 0 || int(d) >= len(names) {
		return "unknown"
	}
	return names[d]
}

// ConfirmedBy says which of the recipient's devices confirmed a message.
type ConfirmedBy string

// A companion that has a message says nothing of the phone: that may be off.
const (
	ByNobody    ConfirmedBy = ""
	ByCompanion ConfirmedBy = "companion"
	ByPhone     ConfirmedBy = "phone"
)

// Warnings that a task can carry.
const (
	// WarnDeviceList: WhatsApp knew other devices of the two sides than we did, so that one of them may have no copy. The list
	// is asked for again before the next message.
	WarnDeviceList = "device_list_changed"
	// WarnSameText: as many strangers as Policy.SameText got the same text within a day.
	WarnSameText = "same_text_to_many"
	// WarnArrivedLate: a device of the recipient has the message although its task was told as a failure before.
	WarnArrivedLate = "delivered_after_failure"
	// WarnCompanionOnly: a companion of the recipient has the message, the phone has not confirmed it.
	WarnCompanionOnly = "delivered_companion_only"
)

// Step is something that happened to a task.
type Step struct {
	At     time.Time
	What   StepName
	Detail string // a code or a device; never a number or a text
}

// StepName names a step.
type StepName string

// The steps of a message, in their usual order.
const (
	StepQueued    StepName = "queued"
	StepPaced     StepName = "paced"     // waits for its pace; Detail is the reason
	StepWaits     StepName = "waits"     // waits for the account; Detail is why it is away
	StepChecked   StepName = "checked"   // the number was looked up; Detail says where: "cache" or "server"
	StepEncrypted StepName = "encrypted" // the keys of the recipient's devices were used
	StepWritten   StepName = "written"   // handed to the connection
	StepAcked     StepName = "acked"     // WhatsApp's server answered that it took it
	StepRetried   StepName = "retried"   // an attempt failed; Detail is its code
	StepAskedFor  StepName = "asked_again"
	StepDelivered StepName = "delivered"
	StepRead      StepName = "read"
	StepAnswered  StepName = "answered" // a text came that quotes the message
	StepTimeout   StepName = "undelivered_timeout"
	StepFinished  StepName = "finished" // Detail is the verdict
)

// Trace is what an attempt found out on its way, however it ended.
type Trace struct {
	Canonical string // the recipient's number as WhatsApp writes it; empty when unknown
	LID       string // the recipient's other address; empty when unknown
	Steps     []Step
	Warnings  []string
}

// learn adds a trace to a task, which the next write keeps.
func (t *Task) learn(trace Trace) {
	if trace.Canonical != "" {
		t.Canonical = trace.Canonical
	}
	if trace.LID != "" {
		t.LID = trace.LID
	}
	t.Steps = append(slices.Clip(t.Steps), trace.Steps...)
	for _, warning := range trace.Warnings {
		t.warn(warning)
	}
}

func (t *Task) warn(code string) {
	if !slices.Contains(t.Warnings, code) {
		t.Warnings = append(slices.Clip(t.Warnings), code)
	}
}

// step adds a step to a task, which the next write keeps.
func (t *Task) step(at time.Time, what StepName, detail string) {
	t.Steps = append(slices.Clip(t.Steps), Step{At: at, What: what, Detail: detail})
}

// Confirmation is what a device of a recipient said of messages.
type Confirmation struct {
	Account    string
	MessageIDs []string
	Kind       ConfirmationKind
	Device     uint16 // 0 is the phone
	At         time.Time
}

// ConfirmationKind is what a device says of a message.
type ConfirmationKind string

// The kinds of confirmation.
const (
	ConfirmDelivered ConfirmationKind = "delivered"
	ConfirmRead      ConfirmationKind = "read"
	ConfirmAskAgain  ConfirmationKind = "asked_again" // the device could not open it
	ConfirmAnswered  ConfirmationKind = "answered"    // a text from the device quotes it; says nothing of the others
)

// AsksMost is how often a device asks for a message again before it gives up, as users report of phones (tulir/whatsmeow#160).
// whatsmeow itself gives up sooner, after four times.
const AsksMost = 5
