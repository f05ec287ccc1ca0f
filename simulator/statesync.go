package simulator

import (
	"fmt"
	"strconv"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waSyncAction"
	"google.golang.org/protobuf/proto"
)

// maxPatches is how many patches one answer holds; a client that misses more asks again. A guess.
const maxPatches = 50

// handleAppState answers a request for what has changed in the app state, or takes a client's own change. Source of the stanzas:
// fetchAppStatePatches and SendAppState of whatsmeow.
func (s *Server) handleAppState(c *conn, d *device, iq *waBinary.Node) {
	request := iq.GetChildByTag("sync")
	s.mu.Lock()
	defer s.mu.Unlock()
	var answers []waBinary.Node
	for _, asked := range request.GetChildrenByTag("collection") {
		if patch, ok := asked.GetOptionalChildByTag("patch"); ok {
			answers = append(answers, s.takePatch(d, &asked, content(&patch)))
		} else {
			answers = append(answers, d.account.answerPatches(&asked))
		}
	}
	c.result(iq, waBinary.Node{Tag: "sync", Content: answers})
}

// answerPatches returns the patches behind the version a client has. A client that has none asks for a snapshot; all patches
// from the first do as well. Call with Server.mu held.
func (a *account) answerPatches(asked *waBinary.Node) waBinary.Node {
	name := text(asked, "name")
	answer := waBinary.Node{Tag: "collection", Attrs: waBinary.Attrs{"name": name, "version": 0, "type": "result"}}
	if a.appState == nil {
		return answer
	}
	patches := a.appState.collection(name).patches
	from, _ := strconv.Atoi(text(asked, "version")) // without one it is 0
	from = min(max(from, 0), len(patches))
	to := min(from+maxPatches, len(patches))
	answer.Attrs["version"] = to
	if to < len(patches) {
		answer.Attrs["has_more_patches"] = true
	}
	var nodes []waBinary.Node
	for _, patch := range patches[from:to] {
		nodes = append(nodes, waBinary.Node{Tag: "patch", Content: patch})
	}
	if nodes != nil {
		answer.Content = []waBinary.Node{{Tag: "patches", Content: nodes}}
	}
	return answer
}

// takePatch takes a client's change, and tells the account's other clients. A client that has not seen the newest one gets 409
// with what it missed. Call with s.mu held.
func (s *Server) takePatch(d *device, asked *waBinary.Node, patch []byte) waBinary.Node {
	name := text(asked, "name")
	refuse := func(answer waBinary.Node, code int, reason string) waBinary.Node {
		answer.Attrs["type"] = "error"
		answer.Content = append(answer.GetChildren(), waBinary.Node{Tag: "error", Attrs: waBinary.Attrs{"code": code, "text": reason}})
		return answer
	}
	state := d.account.state()
	if text(asked, "version") != fmt.Sprint(len(state.collection(name).patches)) {
		return refuse(d.account.answerPatches(asked), 409, "conflict")
	}
	answer := waBinary.Node{Tag: "collection", Attrs: waBinary.Attrs{"name": name, "type": "result"}}
	if err := state.take(name, patch); err != nil {
		s.problem("app state refused: %v", err)
		return refuse(answer, int(errBadRequest), errBadRequest.text())
	}
	answer.Attrs["version"] = len(state.collection(name).patches)
	s.tellAppState(d.account, name, d)
	return answer
}

// tellAppState tells an account's clients, all but one that knows, that there is something new in a collection. Call with s.mu
// held.
func (s *Server) tellAppState(a *account, name string, but *device) {
	version := len(a.appState.collection(name).patches)
	for _, d := range a.devices {
		if d.linked() && d != but {
			s.notifyDevice(d, waBinary.Attrs{"from": server, "type": "server_sync"},
				waBinary.Node{Tag: "collection", Attrs: waBinary.Attrs{"name": name, "version": version}})
		}
	}
	s.changed()
}

// fillAppState writes into an account's app state what a phone has there when it links its first client: the account's name,
// the names of those it chats with, and the salt for derived privacy tokens. Call with Server.mu held.
func (a *account) fillAppState(chats []*account) error {
	state := a.state()
	if len(state.collection(collectionHigh).patches) > 0 {
		return nil // it has been filled
	}
	if err := state.set(collectionHigh, setting{index: []string{"nct_salt_sync"}, version: 1, value: &waSyncAction.SyncActionValue{
		NctSaltSyncAction: &waSyncAction.NctSaltSyncAction{Salt: state.salt},
	}}); err != nil {
		return err
	}
	var contacts []setting
	for _, other := range chats {
		if other.name == "" {
			continue
		}
		contacts = append(contacts, setting{
			index: []string{"contact", other.jid().String()}, version: 2,
			value: &waSyncAction.SyncActionValue{ContactAction: &waSyncAction.ContactAction{
				FullName: proto.String(other.name), FirstName: proto.String(other.name), LidJID: proto.String(other.lidJID().String()),
				SaveOnPrimaryAddressbook: proto.Bool(true),
			}},
		})
	}
	if contacts != nil {
		if err := state.set(collectionContacts, contacts...); err != nil {
			return err
		}
	}
	return a.nameInAppState()
}

// nameInAppState writes the account's own name. Call with Server.mu held.
func (a *account) nameInAppState() error {
	if a.name == "" {
		return nil
	}
	return a.state().set(collectionSettings, setting{index: []string{"setting_pushName"}, version: 1, value: &waSyncAction.SyncActionValue{
		PushNameSetting: &waSyncAction.PushNameSetting{Name: proto.String(a.name)},
	}})
}
