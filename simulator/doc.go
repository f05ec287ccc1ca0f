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
//   - frame.go, noise.go, certificate.go with xeddsa.go, node.go, random.go: frames, the handshake, whom the client must
//     trust, stanzas
//   - connection.go, writequeue.go, login.go, refusal.go, ends.go: one connection from its first frame to its end; page.go: the
//     page where clients look for the newest version
//   - pairing.go with qrcode.go, offer.go and countersign.go: linking a client by a code it shows; linkcode.go with linkkeys.go:
//     by a code that is typed; passkey.go with authenticator.go: behind a passkey
//   - history.go with olderchats.go, statesync.go with appstate.go: what a phone shares with a client it has linked
//   - query.go: what clients ask, and who answers; directory.go, usync.go: numbers, LIDs and devices; prekeys.go with
//     prekeystock.go: key bundles
//   - relay.go: messages of clients, accepted and handed on; phash.go: does the sender know all devices; addressing.go: by number
//     or by LID; tokens.go: first contacts; offline.go: kept until acknowledged
//   - receipts.go, retry.go: what becomes of a message; presence.go: who is there and who types; groups.go is where groups will be
//   - media.go, attachment.go: files on their way, and what is in them
//   - notices.go, changes.go: what the server tells clients of others, and why; limits.go, mex.go: what it holds against an account
//   - strict.go: the shapes that are refused
//
// Virtual phones: model.go (accounts and devices), accounts.go (how they are told), signal.go with signalstore.go and
// signalrepair.go (keys and sessions), writing.go, compose.go and forge.go (what they write), reading.go and inbox.go (what they
// read, in the order jobs.go keeps), script.go and away.go (how they behave).
//
// Trouble: fault.go, faultkinds.go, disturb.go and usyncfault.go; hostile.go rolls dice for it. Records: counters.go, events.go;
// news.go wakes who waits for them. The control API: control.go, control_call.go and control_table.go say what a call is and
// list them all, control_server.go, control_accounts.go, control_clients.go, control_messages.go and control_faults.go answer
// them; info.go, duration.go and openapi.go serve it, client.go speaks it. simulator.go makes a server and start.go one for a test;
// state.go, restore.go and signalstate.go keep all in a file.
//
// # What is known
//
// A comment that states a fact of the protocol names its source: the function of the client whose code expects it, in whatsmeow
// (at the version this module pins) or Baileys (7.0.0-rc14), or that people report it. "A guess" is what had to be chosen.
// docs/simulator.md says of each behaviour how sure it is.
package simulator
