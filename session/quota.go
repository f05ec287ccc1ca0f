package session

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// Quota is how many chats with strangers WhatsApp lets an account begin in one of its cycles.
type Quota struct {
	State       QuotaState
	Used, Total int
	Ends        time.Time // of the cycle; zero when WhatsApp told none. Of a quota that is used up, it is supposed then
}

// QuotaState is how near the end of its quota an account is, in WhatsApp's own words. Nobody has published the shares.
type QuotaState string

// The states of a quota. Empty means that WhatsApp never told.
const (
	QuotaFree   QuotaState = "NONE"
	QuotaFirst  QuotaState = "FIRST_WARNING"
	QuotaSecond QuotaState = "SECOND_WARNING"
	QuotaUsedUp QuotaState = "CAPPED"
)

// quotaUpdate is WhatsApp's notification about the quota of chats with strangers. The library drops it. Its form is from
// Baileys (XWAPaths).
type quotaUpdate struct {
	Data struct {
		Quota *struct {
			Total int        `json:"total_quota"`
			Used  int        `json:"used_quota"`
			State QuotaState `json:"capping_status"`
			Ends  cycleEnd   `json:"cycle_end_timestamp"`
		} `json:"xwa2_notify_new_chat_messages_capping_info_update"`
	} `json:"data"`
}

// cycleEnd is a time in seconds, written as a number or as a text.
type cycleEnd string

// UnmarshalJSON implements json.Unmarshaler.
func (e *cycleEnd) UnmarshalJSON(text []byte) error {
	*e = cycleEnd(strings.Trim(string(text), `"`))
	return nil
}

// time returns the zero time for none.
func (e cycleEnd) time() time.Time {
	seconds, err := strconv.ParseInt(string(e), 10, 64)
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// quotaOf reads a quota from a notification; false when it holds none.
func quotaOf(node *waBinary.Node) (Quota, bool) {
	if node.Tag != "notification" || node.Attrs["type"] != "mex" {
		return Quota{}, false
	}
	for _, child := range node.GetChildren() {
		var update quotaUpdate
		content, _ := child.Content.([]byte)
		if child.Tag != "update" || json.Unmarshal(content, &update) != nil || update.Data.Quota == nil {
			continue
		}
		q := update.Data.Quota
		switch q.State {
		case QuotaFree, QuotaFirst, QuotaSecond, QuotaUsedUp:
			return Quota{State: q.State, Used: q.Used, Total: q.Total, Ends: q.Ends.time()}, true
		}
	}
	return Quota{}, false
}

// sawQuota takes a quota from the goroutine that reads the connection, which must not wait.
func (a *Account) sawQuota(q Quota) {
	a.work.start(func() {
		a.post(func(ctx context.Context, o *owner) { o.quota(ctx, q) })
	})
}

// quota keeps what WhatsApp told of the quota, and tells an operator when its state is another one.
func (o *owner) quota(ctx context.Context, q Quota) {
	before := o.facts.Quota
	if q.State == QuotaUsedUp && q.Ends.IsZero() {
		q.Ends = o.now().Add(o.t.LockUnknown).UTC().Truncate(time.Second)
		if before.State == QuotaUsedUp && before.Ends.After(o.now()) {
			q.Ends = before.Ends
		}
	}
	if o.link == nil || q == before {
		return
	}
	o.facts.Quota = q
	o.keep(ctx)
	if q.news(before) {
		o.notify(ctx, quotaNotice(q))
	}
}

// news tells whether a quota is worth telling after another.
func (q Quota) news(before Quota) bool {
	return q.State != before.State && (before.State != "" || q.State != QuotaFree)
}

// sentence says what a quota means for an operator.
func (q Quota) sentence() string {
	switch q.State {
	case QuotaUsedUp:
		return fmt.Sprintf("WhatsApp takes no new chats with strangers for now: all %d are used; answers free places", q.Total)
	case QuotaFree:
		return "WhatsApp takes new chats with strangers again"
	default:
		return fmt.Sprintf("WhatsApp warns that %d of %d new chats with strangers are used", q.Used, q.Total)
	}
}

// StrangersHeld returns until when WhatsApp takes no first messages to strangers, and why: it locked them (CodeReachoutLocked), or
// the quota of its cycle is used up (CodeNewChatQuota). The later end counts; zero for neither.
func (s Status) StrangersHeld() (until time.Time, code string) {
	until, code = s.Reachout, CodeReachoutLocked
	if s.Quota.State == QuotaUsedUp && s.Quota.Ends.After(until) {
		until, code = s.Quota.Ends, CodeNewChatQuota
	}
	if until.IsZero() {
		return time.Time{}, ""
	}
	return until, code
}
