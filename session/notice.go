package session

import (
	"fmt"
	"time"
)

// Notice is something an operator should hear. It comes once for each change, also over restarts.
type Notice struct {
	Account AccountID
	Code    string // stable; one of the Notice codes, or a [State] in which WhatsApp ended the session
	Reason  string // stable code of why, as in [Status]; of NoticeQuota the state of the quota; empty for none
	Detail  string // a sentence for a person
	Until   time.Time
}

// The codes of a [Notice] about what WhatsApp said.
const (
	NoticePhoneUnseen = "phone_unseen"
	NoticeLocked      = "reachout_locked"
	NoticeUnlocked    = "reachout_unlocked"
	NoticeQuota       = "new_chat_quota"
)

// The codes of a [Notice] that [Facts.Since] alone returns.
const (
	NoticeLinked     = "linked"      // a phone was linked: the end, the lock and the quota of before are over
	NoticeBackOnline = "back_online" // what had ended the session is over
)

func (Notice) event() {}

// Since returns what an operator should hear of when the facts about an account were others before. Facts that are the same
// again say nothing, so whoever compares with what was kept last hears of each change once.
func (f Facts) Since(before Facts) []Notice {
	if !f.PairedAt.Equal(before.PairedAt) && !f.PairedAt.IsZero() { // nothing of before holds for this link
		return []Notice{{Code: NoticeLinked, Detail: "a phone was linked"}}
	}
	var all []Notice
	switch {
	case f.ended() && (!before.ended() || f.EndState != before.EndState || f.EndState == TempBanned && !f.EndedAt.Equal(before.EndedAt)):
		all = append(all, Notice{Code: string(f.EndState), Reason: f.EndReason, Detail: f.EndDetail, Until: f.EndUntil})
	case before.ended() && f.EndState == "":
		all = append(all, Notice{Code: NoticeBackOnline, Detail: "WhatsApp is back online"})
	}
	if !f.ReachoutEnd.Equal(before.ReachoutEnd) {
		all = append(all, reachoutNotice(f.ReachoutEnd))
	}
	if f.Quota.news(before.Quota) {
		all = append(all, quotaNotice(f.Quota))
	}
	if f.PhoneWarned > before.PhoneWarned {
		all = append(all, phoneNotice(f.PhoneWarned))
	}
	return all
}

// ended tells whether the session has ended, and was not only asked to.
func (f Facts) ended() bool { return f.EndState != "" && !f.EndedAt.IsZero() }

// reachoutNotice tells of a lock on first messages to strangers, or with the zero time of its end.
func reachoutNotice(until time.Time) Notice {
	if until.IsZero() {
		return Notice{Code: NoticeUnlocked, Detail: "WhatsApp takes first messages to strangers again"}
	}
	return Notice{Code: NoticeLocked, Detail: "WhatsApp takes no first messages to strangers for now; answers go on", Until: until}
}

// quotaNotice tells where the quota of chats with strangers stands.
func quotaNotice(q Quota) Notice {
	notice := Notice{Code: NoticeQuota, Reason: string(q.State), Detail: q.sentence()}
	if q.State == QuotaUsedUp {
		notice.Until = q.Ends
	}
	return notice
}

// phoneNotice tells that the account's phone was not seen for so many days.
func phoneNotice(days int) Notice {
	return Notice{
		Code:   NoticePhoneUnseen,
		Detail: fmt.Sprintf("the account's phone has not been seen for %d days; WhatsApp ends the link after about 14: open WhatsApp on it", days),
	}
}
