package simulator

import "strings"

// FaultKind is something that can be done at an operation.
type FaultKind struct {
	At        string `json:"at"`
	Do        string `json:"do"`
	Means     string `json:"means"`
	NeedsCode bool   `json:"needs_code,omitempty"`
}

// The names of what can be done at more than one operation.
const (
	doDelay     = "delay"
	doSilence   = "silence"
	doError     = "error"
	doDrop      = "drop"
	doReset     = "reset"
	doDropAfter = "drop-after"
	doTwice     = "twice"
	doOmit      = "omit"
	doClock     = "clock"
)

// FaultKinds lists every operation with what can be done there. A delay means [Fault.Delay], a code [Fault.Code].
func FaultKinds() []FaultKind {
	kinds := []FaultKind{
		{At: "connect", Do: doError, NeedsCode: true, Means: "answer the websocket request with this HTTP status"},
		{At: "connect", Do: doDelay, Means: "answer the websocket request later"},
		{At: "connect", Do: doSilence, Means: "never answer the websocket request"},
		{At: "connect", Do: doDrop, Means: "close the TCP connection (FIN)"},
		{At: "connect", Do: doReset, Means: "reset the TCP connection (RST)"},

		{At: "handshake", Do: "wrong-root", Means: "a certificate chain under a root that clients do not trust"},
		{At: "handshake", Do: "expired", Means: "certificates whose time is over"},
		{At: "handshake", Do: "wrong-leaf", Means: "a certificate for another key than the server's"},
		{At: "handshake", Do: "garbage", Means: "random bytes in place of the server's hello"},
		{At: "handshake", Do: doDelay, Means: "answer the client's hello later"},
		{At: "handshake", Do: doSilence, Means: "never answer the client's hello"},
		{At: "handshake", Do: doDrop, Means: "cut the connection after the client's hello"},
		{At: "handshake", Do: "half", Means: "half of the server's hello, then the connection is cut"},

		{At: "pair", Do: pairRefused, Means: "the phone refuses the client, which hears nothing of it"},
		{At: "pair", Do: pairOldApp, Means: "the phone's app is too old to link clients, and the client is told"},
		{At: "pair", Do: pairWrongHMAC, Means: "the device identity comes with a wrong HMAC: the client refuses with 401"},
		{At: "pair", Do: pairWrongSignature, Means: "the device identity has a wrong account signature: the client refuses with 401"},
		{At: "pair", Do: pairGarbage, Means: "the device identity cannot be parsed: the client refuses with 500"},
		{At: "pair", Do: doSilence, Means: "the phone takes the client in, and the client never hears of it"},
		{At: "passkey-request", Do: passkeyNoOptions, Means: "the request for a passkey comes without its options; the client asks for them"},
		{At: "passkey", Do: passkeyRefused, Means: "the answer is refused with 403, and the connection is closed"},
		{At: "passkey", Do: passkeyBadContinuation, Means: "the phone's answer to the passkey cannot be parsed"},

		{At: "login", Do: "failure", NeedsCode: true, Means: "refuse the login with this reason, and message, ban and expire"},
		{At: "login", Do: doDelay, Means: "let the client in later"},
		{At: "login", Do: doSilence, Means: "neither let the client in nor refuse it"},
		{At: "login", Do: doDrop, Means: "cut the connection (FIN)"},
		{At: "login", Do: doReset, Means: "cut the connection (RST)"},

		{At: "message", Do: doError, NeedsCode: true, Means: "refuse the message with this ack error; nobody gets it"},
		{At: "message", Do: doDelay, Means: "take the message, deliver and ack it later"},
		{At: "message", Do: doSilence, Means: "lose the message: no delivery, no ack"},
		{At: "message", Do: "no-ack", Means: "deliver the message and never ack it"},
		{At: "message", Do: "late-ack", Means: "deliver the message at once and ack it later"},
		{At: "message", Do: "ack-twice", Means: "deliver the message and ack it twice"},
		{At: "message", Do: "other-hash", Means: "ack with a participant hash the client did not compute"},
		{At: "message", Do: doClock, Means: "ack with a time that is ahead by the delay, or behind by a negative one"},
		{At: "message", Do: doDrop, Means: "cut the connection before the message is taken"},
		{At: "message", Do: doReset, Means: "cut it with RST before the message is taken"},
		{At: "message", Do: doDropAfter, Means: "deliver the message, then cut the connection in place of the ack"},

		{At: "receipt", Do: doOmit, Means: "a receipt for the client is never sent"},
		{At: "receipt", Do: doDelay, Means: "a receipt is sent later, and so maybe behind the next"},
		{At: "receipt", Do: doTwice, Means: "a receipt is sent twice"},

		{At: "deliver", Do: doOmit, Means: "a message for the client is never delivered"},
		{At: "deliver", Do: doDelay, Means: "a message is delivered later, and so maybe behind the next"},
		{At: "deliver", Do: doTwice, Means: "a message is delivered twice"},
		{At: "deliver", Do: "broken", Means: "a message arrives with a damaged ciphertext; the author sends it again when asked"},

		{At: "deliver", Do: doClock, Means: "a message carries a time that is ahead by the delay, or behind by a negative one"},

		{At: "open", Do: "fail", Means: "a virtual device cannot open the client's message and asks for it again"},

		{At: "frame", Do: doDelay, Means: "everything from this frame on is sent later"},
		{At: "frame", Do: "split", Means: "a frame is spread over two websocket messages, which whatsmeow reads wrongly"},
		{At: "frame", Do: "half", Means: "half a frame, then the connection is cut"},
		{At: "frame", Do: "truncated", Means: "half a frame, and the connection goes on"},
		{At: "frame", Do: "garbage", Means: "a frame of random bytes in place of a stanza"},
		{At: "frame", Do: "undecodable", Means: "a frame that decrypts, but holds no stanza"},
		{At: "frame", Do: doDrop, Means: "cut the connection in place of this frame (FIN)"},
		{At: "frame", Do: doReset, Means: "cut the connection in place of this frame (RST)"},

		{At: "upload", Do: doError, NeedsCode: true, Means: "refuse the file with this HTTP status"},
		{At: "upload", Do: doDelay, Means: "take the file later"},
		{At: "upload", Do: doSilence, Means: "never answer"},
		{At: "upload", Do: doDrop, Means: "cut the connection"},
		{At: "download", Do: doError, NeedsCode: true, Means: "answer with this HTTP status"},
		{At: "download", Do: doDelay, Means: "answer later"},
		{At: "download", Do: doSilence, Means: "never answer"},
		{At: "download", Do: doDrop, Means: "cut the connection"},
		{At: "download", Do: "half", Means: "send half of the file, then cut the connection"},
		{At: "download", Do: "corrupt", Means: "send other bytes than were uploaded"},
	}
	for _, at := range []string{"online", "paired"} {
		kinds = append(kinds, endKinds(at)...)
	}
	kinds = append(kinds, requestKinds("iq")...)
	for _, space := range requestSpaces() {
		kinds = append(kinds, requestKinds("iq:"+space)...)
	}
	return append(kinds,
		FaultKind{At: "iq:usync", Do: doOmit, Means: "users are left out of the answer"},
		FaultKind{At: "iq:usync", Do: "unregistered", Means: "users are described as not registered"},
		FaultKind{At: "iq:usync", Do: "registered", Means: "numbers that are not registered are said to be"},
		FaultKind{At: "iq:usync", Do: "other-user", Means: "users are described under another number"},
		FaultKind{At: "iq:usync", Do: "other-question", Means: "numbers that were not asked about are described"},
		FaultKind{At: "iq:usync", Do: "other-lid", Means: "users are described with a LID that nobody has"},
		FaultKind{At: "iq:usync", Do: "no-lid", Means: "users are described without their LID"},
		FaultKind{At: "iq:usync", Do: "no-devices", Means: "users are described without a device list"},
		FaultKind{At: "iq:encrypt", Do: "no-one-time-key", Means: "prekey bundles come without a one-time key"},
		FaultKind{At: "iq:encrypt", Do: "bad-signature", Means: "the signed prekey's signature is wrong"},
		FaultKind{At: "iq:encrypt", Do: "not-acceptable", Means: "a user's bundle is refused with 406"},
		FaultKind{At: "iq:encrypt", Do: doOmit, Means: "a user's bundle is left out"},
	)
}

// requestSpaces are the namespaces of requests that a fault can single out.
func requestSpaces() []string {
	return []string{"usync", "encrypt", "passive", "md", "w:p", "w:m", "w:sync:app:state", "privacy", "blocklist"}
}

// requestKinds is what can be done at every request.
func requestKinds(at string) []FaultKind {
	return []FaultKind{
		{At: at, Do: doError, NeedsCode: true, Means: "refuse the request with this iq error"},
		{At: at, Do: doDelay, Means: "answer the request later"},
		{At: at, Do: doSilence, Means: "never answer the request"},
		{At: at, Do: doDrop, Means: "cut the connection before the request is taken"},
		{At: at, Do: doDropAfter, Means: "take the request, then cut the connection in place of the answer"},
	}
}

// endKinds is how a connection can end: after login, or after pairing in place of the restart the client waits for.
func endKinds(at string) []FaultKind {
	when := "delay after the login "
	if at == "paired" {
		when = "in place of the restart after pairing "
	}
	return []FaultKind{
		{At: at, Do: KickDrop, Means: when + "the connection is cut (FIN)"},
		{At: at, Do: KickReset, Means: when + "the connection is cut (RST)"},
		{At: at, Do: KickClose, Means: when + "the websocket is closed"},
		{At: at, Do: "stream-error", NeedsCode: true, Means: when + "a stream error with this code, then the close"},
		{At: at, Do: "stream-error-open", NeedsCode: true, Means: when + "a stream error with this code, and no close"},
		{At: at, Do: KickReplaced, Means: when + "another connection took over"},
		{At: at, Do: KickRemoved, Means: when + "the phone removed the device"},
		{At: at, Do: KickDeaf, Means: when + "the connection stays open, and nothing is answered"},
		{At: at, Do: KickStuck, Means: when + "the connection stays open, and nothing is read or written"},
	}
}

// faultKind finds what can be done at an operation. Every namespace can be named, also one that is not listed.
func faultKind(at, do string) (FaultKind, bool) {
	for _, kind := range FaultKinds() {
		if kind.Do == do && (kind.At == at || kind.At == "iq" && strings.HasPrefix(at, "iq:")) {
			return kind, true
		}
	}
	return FaultKind{}, false
}
