package simulator

import (
	"fmt"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// text returns an attribute as text, "" when there is none: the codec gives addresses as types.JID.
func text(n *waBinary.Node, key string) string {
	switch value := n.Attrs[key].(type) {
	case nil:
		return ""
	case string:
		return value
	default:
		return fmt.Sprint(value)
	}
}

// jidAttr returns an attribute that is an address.
func jidAttr(n *waBinary.Node, key string) (types.JID, bool) {
	jid, ok := n.Attrs[key].(types.JID)
	return jid, ok
}

// content returns a node's content, which decodes as text or as bytes.
func content(n *waBinary.Node) []byte {
	switch value := n.Content.(type) {
	case []byte:
		return value
	case string:
		return []byte(value)
	default:
		return nil
	}
}

// firstTag returns the tag of a node's first child, "" without one.
func firstTag(n *waBinary.Node) string {
	if children := n.GetChildren(); len(children) > 0 {
		return children[0].Tag
	}
	return ""
}
