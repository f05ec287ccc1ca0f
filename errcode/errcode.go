// Package errcode says what each stable code of a failure means to whoever meets it: what it concerns, whether the same work can
// succeed later, and what to do. It is the one table behind task records, the account's status and the API's problem details.
//
// It knows codes and nothing of how they arise: the session makes most of them out of WhatsApp's answers, package task and the API
// add their own. docs/errors.md shows the same table to people, and a test holds the two together.
package errcode

import (
	"strconv"
	"strings"
)

// Scope is what a code concerns: who has to do something, and what else is touched by it.
type Scope string

// The scopes.
const (
	Account   Scope = "account"   // everything the account does
	Recipient Scope = "recipient" // messages to this recipient
	Network   Scope = "network"   // the way to WhatsApp, or WhatsApp's servers
	Request   Scope = "request"   // what the caller asked
	Library   Scope = "library"   // this program: its version, its disk, a mistake in it
)

// Meaning is what a code means.
type Meaning struct {
	Scope     Scope
	Retryable bool   // the same work can succeed later although nobody does anything
	Hint      string // what to do
}

// Of returns what a code means. One that is not in the table concerns the account and is not retried, to be careful.
func Of(code string) Meaning {
	if m, known := meanings[code]; known {
		return m
	}
	if family, _, numbered := split(code); numbered {
		if m, known := meanings[family+"<n>"]; known {
			return m
		}
	}
	return Meaning{Scope: Account, Hint: "read the log"}
}

// Known tells whether a code is in the table.
func Known(code string) bool {
	family, _, numbered := split(code)
	_, exact := meanings[code]
	_, one := meanings[family+"<n>"]
	return exact || numbered && one
}

// Number returns WhatsApp's own number in a code that was made from it, such as 499 in "wa_499"; 0 for any other code.
func Number(code string) int {
	if family, number, numbered := split(code); numbered {
		if _, known := meanings[family+"<n>"]; known {
			return number
		}
	}
	return 0
}

// split takes the number off the end of a code.
func split(code string) (family string, number int, numbered bool) {
	at := strings.LastIndexByte(code, '_') + 1
	number, err := strconv.Atoi(code[at:])
	return code[:at], number, at > 0 && err == nil
}
