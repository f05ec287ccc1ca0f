package session

import "strings"

// Scope is what a code concerns: who has to do something, and what else is touched by it.
type Scope string

// The scopes of codes.
const (
	ScopeAccount   Scope = "account"   // everything the account does
	ScopeRecipient Scope = "recipient" // messages to this recipient
	ScopeNetwork   Scope = "network"   // the way to WhatsApp, or WhatsApp's servers
	ScopeDaemon    Scope = "daemon"    // this program, its version or its disk
	ScopePairing   Scope = "pairing"   // the pairing round
	ScopeRequest   Scope = "request"   // what the caller asked
)

// Scope returns what the error concerns.
func (e *Error) Scope() Scope { return ScopeOf(e.Code) }

// ScopeOf returns what a code concerns. Numbers of WhatsApp's that we do not know concern the account, to be careful.
func ScopeOf(code string) Scope {
	switch code {
	case CodeNotOnWhatsApp, CodeUnresolvable, CodeNoRecipientCopy, CodePriorContact, CodeSessionRebuild:
		return ScopeRecipient
	case CodeOffline, CodeNetworkUncertain, CodeConnectFailed, CodeProxyUnreachable, CodeConnectionLost, CodeConnectionSilent, CodeServerRestart:
		return ScopeNetwork
	case CodeStopping, CodeStoreFailed, CodeOutdated:
		return ScopeDaemon
	case CodePairExpired, CodePairBadIdentity, CodePairFailed, CodePairRateLimited, CodePasskeyRefused:
		return ScopePairing
	case CodePasskeyInvalid:
		return ScopeRequest
	}
	if strings.HasPrefix(code, codeRejected) {
		return ScopeRecipient
	}
	return ScopeAccount
}
