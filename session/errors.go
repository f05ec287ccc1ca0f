package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types/events"
)

// What a call meets on an account that is, or is not, linked to a phone.
var (
	ErrNotPaired     = errors.New("the account is not paired")
	ErrKeys          = errors.New("the keys of the linked device cannot be read") // Open's; only a new link helps
	ErrAlreadyPaired = errors.New("the account is paired already")

	errStopped = errors.New("the account has stopped")
)

// The stable codes of [Error], [Status.Reason], [PairingRound.Reason] and [Facts.EndReason]; docs/errors.md lists them.
// Two more are made from WhatsApp's own number: "rejected_<n>" and "wa_<n>".
const (
	CodeOffline             = "offline"
	CodeNotPaired           = "not_paired"
	CodeNotOnWhatsApp       = "not_on_whatsapp"
	CodeUnresolvable        = "recipient_unresolvable"
	CodeNoRecipientCopy     = "no_recipient_copy"
	CodePriorContact        = "recipient_requires_prior_contact"
	CodeReachoutLocked      = NoticeLocked
	CodeNewChatQuota        = NoticeQuota
	CodeSessionRebuild      = "session_rebuild_needed"
	CodeRateLimited         = "rate_limited"
	CodeCheckAllowance      = "check_allowance"
	CodeNetworkUncertain    = "network_uncertain"
	CodeSendFailed          = "send_failed"
	CodeCheckFailed         = "check_failed"
	CodeLogoutFailed        = "logout_failed"
	CodeStoreFailed         = "store_failed"
	CodeConnectFailed       = "connect_failed"
	CodeProxyUnreachable    = "proxy_unreachable"
	CodeConnectionLost      = "connection_lost"
	CodeConnectionSilent    = "connection_silent"
	CodeServerRestart       = "server_restart"
	CodeLoggedOut           = "logged_out"
	CodeKeysMissing         = "keys_missing"
	CodeLogoutRequested     = "logout_requested"
	CodeAccountLocked       = "account_locked"
	CodeAccountBanned       = "account_banned"
	CodeTempBanned          = "temp_banned"
	CodeOutdated            = "client_outdated"
	CodeReplaced            = "session_replaced"
	CodePairExpired         = "pair_expired"
	CodePairBadIdentity     = "pair_bad_identity"
	CodePairFailed          = "pair_failed"
	CodePairRateLimited     = "pair_rate_limited"
	CodePasskeyInvalid      = "passkey_invalid"
	CodePasskeyRefused      = "passkey_refused"
	CodeStopping            = "stopping"
	codeConnectRefused      = "connect_refused_"
	codeRejected, codeOther = "rejected_", "wa_"
)

// answerRule is what one number of WhatsApp's, in the answer to a send or a query, means.
type answerRule struct {
	code      string
	retry     Retry
	after     time.Duration
	uncertain bool
	hint      string
}

// answerRules is the table of docs/errors.md for answers to sends. Numbers that are not in it are "wa_<n>", tried again.
var answerRules = map[int]answerRule{
	400: {code: codeRejected + "400", retry: RetryNever, hint: "WhatsApp refused the message for this recipient"},
	403: {code: codeRejected + "403", retry: RetryOnce, after: time.Hour, hint: "WhatsApp refused the message; it may pass in an hour"},
	405: {code: codeRejected + "405", retry: RetryNever, hint: "WhatsApp refused the message for this recipient"},
	420: {code: codeRejected + "420", retry: RetryNever, hint: "WhatsApp refused the message for this recipient"},
	429: {code: CodeRateLimited, retry: RetryLater, after: time.Minute, hint: "WhatsApp asks for fewer requests"},
	463: {code: CodePriorContact, retry: RetryNever, hint: "the recipient must write first"},
	479: {code: CodeSessionRebuild, retry: RetryNever, hint: "the encryption session was rebuilt once, without success"},
}

// answered returns what a number in WhatsApp's answer means. cause may be nil.
func answered(number int, cause error) *Error {
	rule, known := answerRules[number]
	switch {
	case known:
	case number >= 500 && number <= 599:
		rule = answerRule{code: CodeNetworkUncertain, retry: RetryLater, uncertain: true, hint: "WhatsApp had an error of its own"}
	default:
		rule = answerRule{code: codeOther + strconv.Itoa(number), retry: RetryLater, hint: "WhatsApp answered with a number we do not know"}
	}
	return &Error{
		Code: rule.code, Retry: rule.retry, After: rule.after, Uncertain: rule.uncertain, WACode: number, Hint: rule.hint, Err: cause,
	}
}

// failure turns an error of the library into one of ours. fallback is the code when nothing more is known.
func failure(err error, fallback string) *Error {
	var ours *Error
	var query *whatsmeow.IQError
	var cut *whatsmeow.DisconnectedError
	number, refused := ackNumber(err)
	switch {
	case errors.As(err, &ours):
		return ours
	case refused:
		return answered(number, err)
	case errors.As(err, &query) && query.Code != 0:
		refused := answered(query.Code, fmt.Errorf("query refused with %d", query.Code)) // the library's text holds the stanza
		if refused.Retry == RetryOnce {                                                  // reported of messages only
			refused.Retry, refused.After = RetryNever, 0
		}
		return refused
	case errors.As(err, &cut), errors.Is(err, whatsmeow.ErrNotConnected):
		return &Error{Code: CodeNetworkUncertain, Retry: RetryOnline, Uncertain: true, Hint: "the connection was lost meanwhile", Err: err}
	case errors.Is(err, whatsmeow.ErrIQTimedOut), errors.Is(err, whatsmeow.ErrMessageTimedOut), errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeNetworkUncertain, Retry: RetryLater, Uncertain: true, Hint: "WhatsApp did not answer in time", Err: err}
	case errors.Is(err, whatsmeow.ErrNotLoggedIn), errors.Is(err, store.ErrDeviceDeleted):
		return &Error{Code: CodeNotPaired, Retry: RetryOnline, Hint: "the account was logged out meanwhile", Err: ErrNotPaired}
	default:
		return &Error{Code: fallback, Retry: RetryLater, Uncertain: true, Err: errors.New(redact(err.Error()))}
	}
}

// ackNumber returns the number of a send that WhatsApp answered with an error. The library has it in the text only.
func ackNumber(err error) (int, bool) {
	if !errors.Is(err, whatsmeow.ErrServerReturnedError) {
		return 0, false
	}
	number, parseErr := strconv.Atoi(strings.TrimPrefix(err.Error(), whatsmeow.ErrServerReturnedError.Error()+" "))
	return number, parseErr == nil
}

// ending is how WhatsApp ended a link or keeps us from using it.
type ending struct {
	state  State
	reason string
	detail string
	until  time.Time // zero: no dial by itself
}

// loginRefused returns what a login refused with LoggedOut's reason means. The library deletes the device for all three.
func loginRefused(reason events.ConnectFailureReason) ending {
	switch reason {
	case events.ConnectFailureMainDeviceGone:
		return ending{state: Locked, reason: CodeAccountLocked, detail: "WhatsApp locked the account, or its phone was changed"}
	case events.ConnectFailureUnknownLogout:
		return ending{state: Locked, reason: CodeAccountBanned, detail: "WhatsApp banned the account"}
	default:
		return ending{state: LoggedOut, reason: CodeLoggedOut, detail: "the phone or WhatsApp removed this device"}
	}
}

// pairRefused returns the code of a pairing that failed on our side of the dialogue.
func pairRefused(err error) string {
	var kept *whatsmeow.PairDatabaseError
	switch {
	case errors.Is(err, whatsmeow.ErrPairInvalidDeviceIdentityHMAC), errors.Is(err, whatsmeow.ErrPairInvalidDeviceSignature):
		return CodePairBadIdentity
	case errors.As(err, &kept):
		return CodeStoreFailed
	default:
		return CodePairFailed
	}
}
