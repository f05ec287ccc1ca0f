package session

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.mau.fi/whatsmeow"
)

// The codes of failures that have no number of WhatsApp's in them. docs/errors.md says what to do about each.
const (
	CodeNotOnWhatsApp     = "not_on_whatsapp"
	CodeNotPaired         = "not_paired"
	CodeOffline           = "offline"
	CodeNoRecipientCopy   = "no_recipient_copy"
	CodeNetworkUncertain  = "network_uncertain"
	CodeRateLimited       = "rate_limited"
	CodeUnresolvable      = "recipient_unresolvable"
	CodePriorContact      = "recipient_requires_prior_contact"
	CodeSessionRebuild    = "session_rebuild_needed"
	CodeLoggedOut         = "logged_out"
	CodeAccountLocked     = "account_locked"
	CodeAccountBanned     = "account_banned"
	CodeTempBanned        = "temp_banned"
	CodeClientOutdated    = "client_outdated"
	CodeSessionReplaced   = "session_replaced"
	CodeServerRestart     = "server_restart"
	CodePairExpired       = "pair_expired"
	CodePairBadIdentity   = "pair_bad_identity"
	CodePairUnreachable   = "pair_unreachable"
	CodeNumberUnconfirmed = "number_unconfirmed"
)

// ErrAlreadyPaired is returned by Pair on an account that is linked to a phone.
var ErrAlreadyPaired = errors.New("the account is already linked to a phone")

// ErrNotPaired is returned by Logout on an account that is not linked to a phone.
var ErrNotPaired = errors.New("the account is not linked to a phone")

func notPaired() *Error {
	return &Error{Code: CodeNotPaired, Retry: RetryOnline, Hint: "pair the account with a phone"}
}

func offline(err error) *Error {
	return &Error{Code: CodeOffline, Retry: RetryOnline, Err: err, Hint: "it goes on by itself once the connection is back"}
}

// refusals says what the numbers mean with which WhatsApp's server refuses a message. The meaning of most is a guess that
// users' experience supports; whatsmeow itself explains only 479, an invalid stanza.
var refusals = map[int]Error{
	400: {Code: "rejected_400", Retry: RetryNever, Hint: "WhatsApp refused the message for this recipient"},
	403: {Code: "rejected_403", Retry: RetryNever, Hint: "WhatsApp refused the message for this recipient; it may work some hours later"},
	405: {Code: "rejected_405", Retry: RetryNever, Hint: "WhatsApp refused the message for this recipient"},
	420: {Code: "rejected_420", Retry: RetryNever, Hint: "WhatsApp refused the message for this recipient"},
	429: {Code: CodeRateLimited, Retry: RetryLater, After: time.Minute, Hint: "WhatsApp asks to go slower"},
	463: {Code: CodePriorContact, Retry: RetryNever, Hint: "WhatsApp lets only known contacts write to this recipient, or keeps the account from writing to strangers for a while"},
	479: {Code: CodeSessionRebuild, Retry: RetryLater, Hint: "the encryption session with this recipient is built anew"},
}

// refused turns WhatsApp's refusal of a message into a failure. Refused messages did not arrive.
func refused(code int, err error) *Error {
	e, known := refusals[code]
	switch {
	case known:
	case code >= 500 && code < 600:
		e = Error{Code: CodeServerRestart, Retry: RetryLater, Hint: "WhatsApp's server has a problem"}
	default:
		e = Error{Code: fmt.Sprintf("wa_%d", code), Retry: RetryLater, Hint: "WhatsApp answered with a code this program does not know"}
	}
	e.WACode, e.Err = code, err
	return &e
}

// sendFailure says what an error of the library's SendMessage means. A message whose answer never came may have arrived.
func sendFailure(err error) *Error {
	var lost *whatsmeow.DisconnectedError
	switch {
	case errors.Is(err, whatsmeow.ErrServerReturnedError):
		return refused(serverCode(err), err)
	case errors.Is(err, whatsmeow.ErrNotLoggedIn):
		return notPaired()
	case errors.Is(err, whatsmeow.ErrNotConnected):
		return offline(err)
	case errors.As(err, &lost), errors.Is(err, whatsmeow.ErrMessageTimedOut), errors.Is(err, whatsmeow.ErrIQTimedOut),
		errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: CodeNetworkUncertain, Retry: RetryLater, Uncertain: true, Err: err, Hint: "no answer came; it is repeated under the same message ID"}
	case strings.Contains(err.Error(), "no LID found"): // the library has no name for it
		return &Error{Code: CodeUnresolvable, Retry: RetryNever, Err: err, Hint: "WhatsApp does not say how to reach this number"}
	}
	return queryFailure(err)
}

// queryFailure says what an error of a query means.
func queryFailure(err error) *Error {
	var own *Error
	var iq *whatsmeow.IQError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &iq) && iq.Code == 429:
		return &Error{Code: CodeRateLimited, Retry: RetryLater, After: time.Minute, WACode: 429, Err: err, Hint: "WhatsApp asks to go slower"}
	case errors.As(err, &iq):
		return &Error{Code: fmt.Sprintf("wa_%d", iq.Code), Retry: RetryLater, WACode: iq.Code, Err: err}
	case errors.Is(err, whatsmeow.ErrNotConnected):
		return offline(err)
	}
	return &Error{Code: CodeNetworkUncertain, Retry: RetryLater, Err: err}
}

// serverCode reads the number that the library writes behind its error's text; 0 when there is none.
func serverCode(err error) int {
	code, _ := strconv.Atoi(regexp.MustCompile(`\d+$`).FindString(err.Error()))
	return code
}
