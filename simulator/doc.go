// Package simulator is WhatsApp's half of the wire, for tests and for trying things out: it is not WhatsApp and talks to
// nobody outside this machine.
//
// An unmodified client library connects to it over a plain websocket, runs the real Noise handshake against a certificate
// chain of the simulator's own, pairs by scanning a code, logs in, looks numbers up and exchanges end-to-end encrypted
// messages with virtual phones. All cryptography is real and is checked on both sides.
//
// The simulator is strict: what the real server is believed to refuse, it refuses and records as a problem, and a request
// it does not know is answered with an error and counted by name. What it cannot prove: rate limits, bans, timing, the
// meaning of error codes, and every future change of the protocol.
//
// [New] makes a [Server] for programs, [Start] one for tests; [Control] serves its HTTP API and [Client] speaks it.
//
// # Where to read
//
// Every file has one subject. In the order in which a client meets them:
//
//   - frame.go, noise.go, certificate.go: frames, the handshake, and whom the client must trust
//   - connection.go, writequeue.go, login.go, ends.go: one connection from its first frame to its end
//   - pairing.go with code.go, offer.go and countersign.go: linking a client by a code it shows; linkcode.go: by a code that is
//     typed; passkey.go with authenticator.go: behind a passkey
//   - appstate.go, statesync.go, history.go: what a phone shares with a client it has linked
//   - query.go: what clients ask, and who answers; directory.go, usync.go: numbers, LIDs and devices; prekeys.go with
//     prekeystock.go: key bundles
//   - relay.go: messages of clients, accepted and handed on, with tokens.go for first contacts; offline.go: kept until
//     acknowledged; receipts.go, presence.go; groups.go is where groups will be
//   - media.go, attachment.go: files on their way, and what is in them
//   - notices.go, limits.go, mex.go: what the server tells clients, and what it holds against an account
//   - strict.go: the shapes that are refused
//
// Virtual phones: model.go (accounts and devices), signal.go with signalstate.go and signalstore.go (keys and sessions),
// writing.go and compose.go (what they write), reading.go and inbox.go (what they read, in the order jobs.go keeps), script.go
// (how they behave).
//
// Trouble: fault.go, faultkinds.go and disturb.go; hostile.go rolls dice for it. Records: counters.go, events.go. The control
// API: control_table.go lists its calls, the other control files answer them. state.go and restore.go keep all in a file.
//
// A comment that states a fact of the protocol names its source: the client whose code expects it. docs/simulator.md says of
// each behaviour how sure it is.
package simulator
