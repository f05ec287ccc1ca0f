package simulator

import (
	"encoding/json"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// The GraphQL queries and notifications about limits, by which clients learn of them beside the ack error. Source: the
// constants of Baileys (QueryIds, XWAPaths) and the mex notification that whatsmeow reads.
const (
	queryReachOutLock = "23983697327930364"
	queryNewChats     = "24503548349331633"

	noticeReachOutLock = "NotificationUserReachoutTimelockUpdate"
	noticeNewChats     = "MessageCappingInfoNotification"
)

// reachOutLock is how a reach-out lock is told. The kind of violation is one of those that clients know; which the real
// server names when is not known.
type reachOutLock struct {
	Active bool   `json:"is_active"`
	Ends   string `json:"time_enforcement_ends,omitempty"`
	Type   string `json:"enforcement_type,omitempty"`
}

// newChats is how the quota for chats with strangers is told.
type newChats struct {
	Total  int    `json:"total_quota"`
	Used   int    `json:"used_quota"`
	Status string `json:"capping_status"` // NONE, FIRST_WARNING, SECOND_WARNING or CAPPED
	Ends   string `json:"cycle_end_timestamp,omitempty"`
}

// reachOutLock says whether the account is locked now. Call with Server.mu held.
func (a *account) reachOutLock() reachOutLock {
	if !time.Now().Before(a.limits.LockedUntil) {
		return reachOutLock{}
	}
	return reachOutLock{
		Active: true, Ends: strconv.FormatInt(a.limits.LockedUntil.Unix(), 10), Type: "BIZ_COMMERCE_VIOLATION_ALCOHOL",
	}
}

// newChats says how much of the quota is used. The shares at which the real server warns are not known: half and four
// fifths here. Call with Server.mu held.
func (a *account) newChats() newChats {
	quota := newChats{Total: a.limits.quota(), Used: a.strangers(), Status: "NONE"}
	switch {
	case quota.Total == 0:
	case quota.Used >= quota.Total:
		quota.Status = "CAPPED"
	case quota.Used*5 >= quota.Total*4:
		quota.Status = "SECOND_WARNING"
	case quota.Used*2 >= quota.Total:
		quota.Status = "FIRST_WARNING"
	}
	if quota.Total > 0 && !a.limits.CycleEnds.IsZero() {
		quota.Ends = strconv.FormatInt(a.limits.CycleEnds.Unix(), 10)
	}
	return quota
}

// handleMex answers a GraphQL query: those about limits are known.
func (s *Server) handleMex(c *conn, d *device, iq *waBinary.Node) {
	query := iq.GetChildByTag("query")
	data := map[string]any{}
	s.mu.Lock()
	switch text(&query, "query_id") {
	case queryReachOutLock:
		data["xwa2_fetch_account_reachout_timelock"] = d.account.reachOutLock()
	case queryNewChats:
		data["xwa2_message_capping_info"] = d.account.newChats()
	}
	s.mu.Unlock()
	if len(data) == 0 {
		s.unhandled("iq w:mex query " + text(&query, "query_id"))
		c.refuse(iq, errNotImplemented)
		return
	}
	answer, _ := json.Marshal(map[string]any{"data": data}) // cannot fail
	c.result(iq, waBinary.Node{Tag: "result", Content: answer})
}

// tellMex sends a GraphQL notification to an account's clients. Call with s.mu held.
func (s *Server) tellMex(a *account, name, path string, content any) {
	update, _ := json.Marshal(map[string]any{"data": map[string]any{path: content}}) // cannot fail
	s.notify(a, waBinary.Attrs{"from": server, "type": "mex"},
		waBinary.Node{Tag: "update", Attrs: waBinary.Attrs{"op_name": name}, Content: update})
}

// tellLock tells an account's clients that a reach-out lock has begun or ended. Call with s.mu held.
func (s *Server) tellLock(a *account, lock reachOutLock) {
	s.tellMex(a, noticeReachOutLock, "xwa2_notify_account_reachout_timelock", lock)
}

// tellNewChats tells an account's clients when the state of its quota is another one than before. Call with s.mu held.
func (s *Server) tellNewChats(a *account, before string) {
	quota := a.newChats()
	if !a.limits.Notice || quota.Status == before {
		return
	}
	s.tellMex(a, noticeNewChats, "xwa2_notify_new_chat_messages_capping_info_update", quota)
}
