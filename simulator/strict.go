package simulator

import (
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// ackInvalid is the ack error for a stanza of the wrong shape. Source: a comment at whatsmeow's node handlers and the log of
// handleBadAck in Baileys name 479 "smax-invalid". That each of the shapes below earns it is a guess: no client sends them.
const ackInvalid = 479

// checkMessageShape says what is wrong with the shape of a message. What is asked for here every client sends: the shapes are
// those that whatsmeow and Baileys build.
func checkMessageShape(n *waBinary.Node) error {
	_, hasTo := jidAttr(n, "to")
	switch {
	case text(n, "id") == "":
		return fmt.Errorf("message without id")
	case !hasTo:
		return fmt.Errorf("message to nobody")
	case text(n, "type") == "":
		return fmt.Errorf("message without type")
	}
	participants, fanned := n.GetOptionalChildByTag("participants")
	_, direct := n.GetOptionalChildByTag("enc")
	if !fanned && !direct {
		return fmt.Errorf("message without participants and without ciphertext")
	}
	if direct {
		if err := checkCiphertexts(n); err != nil {
			return err
		}
	}
	if !fanned {
		return nil
	}
	for _, to := range participants.GetChildren() { // may be empty: a client that could encrypt for nobody sends it so
		if to.Tag != "to" {
			return fmt.Errorf("message with %q among its participants", to.Tag)
		}
		if err := checkCiphertexts(&to); err != nil {
			return err
		}
	}
	return nil
}

// checkCiphertexts checks the ciphertexts for one device.
func checkCiphertexts(n *waBinary.Node) error {
	all := n.GetChildrenByTag("enc")
	if len(all) == 0 {
		return fmt.Errorf("message with a participant and no ciphertext")
	}
	for i := range all {
		enc := &all[i]
		kind := text(enc, "type")
		switch {
		case text(enc, "v") != "2":
			return fmt.Errorf("ciphertext of version %q", text(enc, "v"))
		case kind != firstMessages && kind != "msg":
			return fmt.Errorf("ciphertext of type %q", kind)
		case len(content(enc)) == 0:
			return fmt.Errorf("ciphertext that is empty")
		}
	}
	return nil
}

// nameMessage counts a message of a type that no client is known to send.
func (s *Server) nameMessage(n *waBinary.Node) {
	switch kind := text(n, "type"); kind {
	case stanzaText, stanzaMedia, stanzaReaction, "poll", "event": // getTypeFromMessage of whatsmeow, getMessageType of Baileys
	default:
		s.unhandled("message type " + kind)
	}
}

// nameReceipt counts a receipt of a type that no client is known to send. Source: the receipt types of whatsmeow.
func (s *Server) nameReceipt(kind string) {
	switch kind {
	case deliveredReceipt, readReceipt, retryReceipt, "inactive", "sender", "read-self", "played", "played-self", "peer_msg",
		"hist_sync", "server-error":
	default:
		s.unhandled("receipt type " + kind)
	}
}

// checkRequestShape says what is wrong with the shape of a request. Clients address it to the server, or leave that out, as
// whatsmeow does when it asks for a contact's QR code. That one to a user is refused is a guess.
func checkRequestShape(iq *waBinary.Node) error {
	kind := text(iq, "type")
	switch {
	case text(iq, "id") == "":
		return fmt.Errorf("request without id")
	case kind != "get" && kind != "set":
		return fmt.Errorf("request of type %q", kind)
	case text(iq, "xmlns") == "":
		return fmt.Errorf("request without namespace")
	}
	if to, ok := jidAttr(iq, "to"); ok && to.User != "" && (to.Server == types.DefaultUserServer || to.Server == types.HiddenUserServer) {
		return fmt.Errorf("request to a user")
	}
	return nil
}

// checkUsyncShape says what is wrong with a directory query: what it asks for here both clients send. That the server refuses
// the rest, and the bound on users, are guesses.
func checkUsyncShape(query *waBinary.Node, protocols, asked []waBinary.Node) error {
	switch {
	case text(query, "sid") == "" || text(query, "mode") == "" || text(query, "context") == "":
		return fmt.Errorf("directory query without session, mode or context")
	case len(protocols) == 0:
		return fmt.Errorf("directory query that asks nothing")
	case len(asked) == 0 || len(asked) > maxUsyncUsers:
		return fmt.Errorf("directory query of %d users", len(asked))
	}
	for i := range asked {
		_, byAddress := jidAttr(&asked[i], "jid")
		_, byContact := asked[i].GetOptionalChildByTag("contact")
		if !byAddress && !byContact {
			return fmt.Errorf("directory query for a user without address and contact")
		}
	}
	return nil
}
