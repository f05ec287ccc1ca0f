package simulator

import (
	"slices"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
)

// changeUser is what a fault does to the description of a user.
func (f *Fault) changeUser(user *waBinary.Node) {
	switch f.Do {
	case "registered", "unregistered":
		f.changeRegistration(user)
	case "other-user":
		for _, key := range []string{"jid", "pn_jid"} {
			if jid, ok := jidAttr(user, key); ok {
				user.Attrs[key] = neighbour(jid)
			}
		}
	case "other-question":
		changeQuestion(user)
	case "other-lid":
		changeLID(user)
	case "no-lid":
		user.Content = without(user.GetChildren(), "lid")
		if pn, ok := user.Attrs["pn_jid"]; ok {
			user.Attrs["jid"] = pn
			delete(user.Attrs, "pn_jid")
		}
	case "no-devices":
		user.Content = without(user.GetChildren(), "devices")
	}
}

// changeRegistration turns the answer to whether a number is registered. Who is not has no other description.
func (f *Fault) changeRegistration(user *waBinary.Node) {
	for _, n := range user.GetChildren() {
		if n.Tag != "contact" {
			continue
		}
		n.Attrs["type"] = "in"
		if f.Do == "unregistered" {
			n.Attrs["type"] = "out"
			delete(user.Attrs, "pn_jid")
			user.Content = []waBinary.Node{n}
			return
		}
	}
}

// changeQuestion lets the answer be one to another question: clients match the two by the text of the contact.
func changeQuestion(user *waBinary.Node) {
	children := slices.Clone(user.GetChildren())
	for i := range children {
		if asked := contactNumber(string(content(&children[i]))); children[i].Tag == "contact" {
			children[i].Content = []byte("+" + neighbour(types.NewJID(asked, types.DefaultUserServer)).User)
		}
	}
	user.Content = children
}

// changeLID describes a user with the LID of nobody, wherever the LID is told.
func changeLID(user *waBinary.Node) {
	if _, byLID := user.Attrs["pn_jid"]; byLID {
		if jid, ok := jidAttr(user, "jid"); ok {
			user.Attrs["jid"] = neighbour(jid)
		}
	}
	for _, n := range user.GetChildren() {
		if jid, ok := jidAttr(&n, "val"); ok && n.Tag == "lid" {
			n.Attrs["val"] = neighbour(jid)
		}
	}
}

// neighbour is an address that differs in the last digit.
func neighbour(jid types.JID) types.JID {
	if last := len(jid.User) - 1; last >= 0 {
		jid.User = jid.User[:last] + string('0'+('9'-rune(jid.User[last])))
	}
	return jid
}

// without leaves out the nodes with a tag.
func without(nodes []waBinary.Node, tag string) []waBinary.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n waBinary.Node) bool { return n.Tag == tag })
}
