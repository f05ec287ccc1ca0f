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
// [New] makes a [Server] for programs, [Start] one for tests.
package simulator
