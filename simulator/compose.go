package simulator

import (
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"
)

// Message is what the phone of an account writes to another account: a text, or a change of an older message, which is
// named by its ID.
type Message struct {
	// To is the number of the recipient.
	To string `json:"to"`
	// Text is the text, the new text of an edited message, or the emoji of a reaction; an empty one takes the reaction back.
	Text string `json:"text,omitempty"`
	// ReplyTo makes the text an answer to a message of the chat.
	ReplyTo string `json:"reply_to,omitempty"`
	// Edit changes the text of a message that the account wrote.
	Edit string `json:"edit,omitempty"`
	// Revoke deletes a message that the account wrote, for everyone.
	Revoke string `json:"revoke,omitempty"`
	// React puts a reaction on a message of the chat.
	React string `json:"react,omitempty"`
	// Attachment is a file that comes with the text.
	Attachment *Attachment `json:"attachment,omitempty"`
	// Forge writes what only the recipient's own phone may say: see [Forgeries]. A careful client does nothing with it.
	Forge string `json:"forge,omitempty"`
}

// The kinds of message, as the type attribute of its stanza names them. Source: getTypeFromMessage of whatsmeow.
const (
	stanzaText     = "text"
	stanzaReaction = "reaction"
	stanzaMedia    = "media"
)

// The edit attribute of a message stanza says what it does to an older message. Source: types.EditAttribute of whatsmeow.
const (
	editText   = "1"
	editRevoke = "7"
)

// outgoing is a message of a virtual device before it is encrypted for each recipient.
type outgoing struct {
	ID        string `json:"id"`
	To        string `json:"to"`               // number of the account it is written to
	Stanza    string `json:"stanza,omitempty"` // text when empty
	Edit      string `json:"edit,omitempty"`
	MediaType string `json:"media_type,omitempty"`
	Peer      bool   `json:"peer,omitempty"` // for the ears of one own client
	Plaintext []byte `json:"plaintext"`
}

// memory is what a phone knows of older messages.
type memory interface {
	wrote(id string) bool
	textOf(id string) string // what it shows under an ID
}

// check refuses what no phone lets its owner write.
func (m Message) check(known memory) error {
	changes := 0
	for _, id := range []string{m.ReplyTo, m.Edit, m.Revoke, m.React, m.Forge} {
		if id != "" {
			changes++
		}
	}
	switch {
	case changes > 1:
		return errors.New("a message is one of reply, edit, revoke, reaction and forgery")
	case m.Text == "" && m.Revoke == "" && m.React == "" && m.Forge == "":
		return errors.New("a message needs a text")
	case m.Revoke != "" && !known.wrote(m.Revoke), m.Edit != "" && !known.wrote(m.Edit):
		return fmt.Errorf("the account did not write message %s%s, so it cannot change it", m.Edit, m.Revoke)
	}
	return nil
}

// compose makes the content of a message that an account writes to another. Source of the layouts: BuildRevoke, BuildEdit and
// BuildReaction of whatsmeow; a reply is waE2E.ContextInfo.
func compose(m Message, author, recipient types.JID, known memory) (*waE2E.Message, outgoing, error) {
	out := outgoing{Stanza: stanzaText}
	if err := m.check(known); err != nil {
		return nil, out, err
	}
	key := func(id string) *waCommon.MessageKey {
		return &waCommon.MessageKey{
			RemoteJID: proto.String(recipient.String()), FromMe: proto.Bool(known.wrote(id)), ID: proto.String(id),
		}
	}
	switch {
	case m.Forge != "":
		message, err := forge(m.Forge, m.Text)
		return message, out, err
	case m.Revoke != "":
		out.Edit = editRevoke
		return &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Type: waE2E.ProtocolMessage_REVOKE.Enum(), Key: key(m.Revoke),
		}}, out, nil
	case m.Edit != "":
		out.Edit = editText
		return edit(key(m.Edit), m.Text), out, nil
	case m.React != "":
		out.Stanza = stanzaReaction
		if m.Text == "" { // takes it back
			out.Edit = editRevoke
		}
		return &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{
			Key: key(m.React), Text: proto.String(m.Text), SenderTimestampMS: proto.Int64(time.Now().UnixMilli()),
		}}, out, nil
	case m.ReplyTo != "":
		quoted := recipient
		if known.wrote(m.ReplyTo) {
			quoted = author
		}
		return reply(m, quoted, known.textOf(m.ReplyTo)), out, nil
	default:
		return &waE2E.Message{Conversation: proto.String(m.Text)}, out, nil
	}
}

// edit gives an older message another text.
func edit(key *waCommon.MessageKey, text string) *waE2E.Message {
	return &waE2E.Message{EditedMessage: &waE2E.FutureProofMessage{Message: &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
		Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), Key: key, TimestampMS: proto.Int64(time.Now().UnixMilli()),
		EditedMessage: &waE2E.Message{Conversation: proto.String(text)},
	}}}}
}

// reply answers an older message, which it quotes with its author.
func reply(m Message, author types.JID, quoted string) *waE2E.Message {
	return &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{
		Text: proto.String(m.Text),
		ContextInfo: &waE2E.ContextInfo{
			StanzaID: proto.String(m.ReplyTo), Participant: proto.String(author.String()),
			QuotedMessage: &waE2E.Message{Conversation: proto.String(quoted)},
		},
	}}
}

// summary is the message as one line.
func (m Message) summary() string {
	switch {
	case m.Attachment != nil:
		return "(" + m.Attachment.Kind + ") " + m.Text
	case m.Forge != "":
		return "(forged " + m.Forge + ")"
	case m.Revoke != "":
		return "(deleted a message)"
	case m.Edit != "":
		return "(edited) " + m.Text
	case m.React != "":
		return "(reacted) " + m.Text
	default:
		return m.Text
	}
}
