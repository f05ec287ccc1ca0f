package simulator

import (
	"net/http"
	"slices"
)

// calls is the table of the control API. To add a call, add a row here, its method to the file of its subject, and an example
// to the tour in openapi_tour_test.go; then: go test -run OpenAPI -update ./simulator.
func (c *Control) calls() []controlCall {
	return slices.Concat(c.serverCalls(), c.accountCalls(), c.clientCalls(), c.messageCalls(), c.faultCalls())
}

// serverCalls are answered in control_server.go and openapi.go.
func (c *Control) serverCalls() []controlCall {
	return []controlCall{
		ask("GET /v1/openapi.json", "This API as an OpenAPI 3.1 document.", openAPI),
		ask("GET /v1/info", "Where clients connect, and the root key they must trust.", c.info),
		ask("GET /v1/counters", "What happened since the start. In a calm run unhandled and problems are empty.", c.counters),
		ask("GET /v1/events", "What happened, in order; with an id all that happened to one message.", c.events,
			param{"after", "integer", "only events after the one with this seq"},
			param{"id", "string", "only events of the message with this ID"},
			waitParam("wait for an event to tell of")),
		ask("GET /v1/quiet", "Wait until virtual devices have dealt with everything they were sent.", c.quiet,
			waitParam("for how long at most")),
		act("POST /v1/web-version", "Say which revision of WhatsApp's own web client is the newest, as its page tells clients that look.", c.setWebVersion),
		act("POST /v1/restart", "Cut every connection, refuse new ones for a while, then listen again on the same port.", c.restart),
	}
}

// accountCalls are answered in control_accounts.go.
func (c *Control) accountCalls() []controlCall {
	return []controlCall{
		ask("GET /v1/accounts", "All accounts, by number.", c.accounts),
		act("POST /v1/accounts", "Add an account, or change one; its keys and linked clients stay.", c.addAccount),
		act("POST /v1/accounts/range", "Add accounts that differ in their number only.", c.addAccounts),
		ask("GET /v1/accounts/{number}", "One account with its devices.", c.account),
		act("POST /v1/accounts/{number}/behaviour", "Change what the account does with messages.", c.setBehaviour),
		ask("GET /v1/scripts", "Behaviours by name, to give to accounts.", func(*http.Request) (map[string]Behaviour, error) { return Scripts(), nil }),
		act("POST /v1/accounts/{number}/limits", "Change what WhatsApp holds against the account.", c.setLimits),
		act("POST /v1/accounts/{number}/away", "Take the network from the account's virtual devices, or give it back.", c.setAway),
		ask("POST /v1/accounts/{number}/change-phone", "Give the account a new phone with a new identity; linked clients are removed.", c.changePhone),
		ask("POST /v1/accounts/{number}/change-lid", "Give the account another LID; nobody is told.", c.changeLID),
		act("POST /v1/accounts/{number}/identities", "Change by which addresses clients know the account; nobody is told.", c.setIdentities),
		act("POST /v1/accounts/{number}/prekeys", "Say how many one-time keys are left for those who start a session.", c.setPreKeys),
		ask("POST /v1/accounts/{number}/refresh-devices", "Tell the account's chats that its devices changed, and not how.", c.refreshDevices),
		ask("POST /v1/accounts/{number}/companions", "Give the account one more virtual device, and tell its chats.", c.addCompanion),
		ask("DELETE /v1/accounts/{number}/companions/{device}", "Take a virtual device from the account, and tell its chats.", c.removeCompanion),
		ask("DELETE /v1/accounts/{number}/devices/{device}", "The phone removes a linked client.", c.removeDevice),
	}
}

// clientCalls are about pairing and the ends of connections. They are answered in control_clients.go.
func (c *Control) clientCalls() []controlCall {
	return []controlCall{
		act("POST /v1/accounts/{number}/scan", "The phone scans a pairing code; answers once the client is registered.", c.scan),
		act("POST /v1/accounts/{number}/code", "The phone takes the code a client shows for typing; answers once the client is registered.", c.enterCode),
		act("POST /v1/accounts/{number}/passkey", "The owner's authenticator answers a client's passkey request.", c.provePasskey),
		act("POST /v1/accounts/{number}/kick", "End the connections of the account's clients.", c.kick),
	}
}

// messageCalls are about messages and presence. They are answered in control_messages.go.
func (c *Control) messageCalls() []controlCall {
	return []controlCall{
		ask("GET /v1/accounts/{number}/inbox", "What the account's virtual devices decrypted and show.", c.inbox,
			param{"min", "integer", "wait until there are so many entries"},
			waitParam("for how long at most; too few entries are an answer as well")),
		ask("GET /v1/accounts/{number}/inbox/{id}/file", "The file that came with a message, as the account's virtual devices opened it.", c.content),
		act("POST /v1/accounts/{number}/write", "The phone writes to another account: a text, a file, or a change of an older message.", c.write),
		ask("POST /v1/accounts/{number}/forget-sessions", "The virtual devices lose their Signal sessions, and ask again for what they cannot open.", c.forgetSessions),
		act("POST /v1/accounts/{number}/tokens", "The account gives another one its privacy token.", c.giveToken),
		act("POST /v1/accounts/{number}/online", "The phone is used or put away; clients that asked are told.", c.setOnline),
		act("POST /v1/accounts/{number}/typing", "Show the clients of another account that this one types, or has stopped.", c.setTyping),
	}
}

// faultCalls are answered in control_faults.go.
func (c *Control) faultCalls() []controlCall {
	return []controlCall{
		ask("GET /v1/faults", "The faults that were added and not removed, with how often each struck.", c.faults),
		act("POST /v1/faults", "Add faults; none when one of them is not known.", c.addFaults),
		ask("DELETE /v1/faults", "Remove all faults.", c.clearFaults),
		ask("DELETE /v1/faults/{id}", "Remove one fault.", c.removeFault),
		ask("GET /v1/fault-kinds", "Every operation with what can go wrong there.", func(*http.Request) ([]FaultKind, error) { return FaultKinds(), nil }),
	}
}
