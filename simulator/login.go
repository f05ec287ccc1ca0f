package simulator

import (
	"fmt"
	"strconv"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/proto/waWa6"
)

// location names the data centre in success and failure stanzas. No client reads it: its value is a guess.
const location = "sim"

// admit starts what the client asked for in its handshake: a login when it names an account, else a pairing. Source:
// GetClientPayload in whatsmeow's package store.
func (c *conn) admit(payload *waWa6.ClientPayload) {
	if payload.Username == nil {
		c.s.startPairing(c, payload.GetDevicePairingData())
		return
	}
	number := strconv.FormatUint(payload.GetUsername(), 10)
	version := payload.GetUserAgent().GetAppVersion()
	c.version = fmt.Sprintf("%d.%d.%d", version.GetPrimary(), version.GetSecondary(), version.GetTertiary())
	c.s.login(c, number, payload.GetDevice(), payload.GetLidDbMigrated())
}

// login lets a linked device in, in place of an older connection of the same device.
func (s *Server) login(c *conn, number string, id uint32, lidAddressing bool) {
	c.lidAddressing = lidAddressing
	f, met := s.meet(moment{at: "login", account: number})
	if met && f.Do == "failure" {
		s.refuseLogin(c, number, id, Refusal{
			Reason: f.Code, Message: f.Message, BanCode: f.Ban, BanSeconds: int(time.Duration(f.Expire).Seconds()),
		})
		return
	}
	if !met || !s.disturb(c, f, func() { s.letIn(c, number, id) }) {
		s.letIn(c, number, id)
	}
}

// letIn lets a linked device in that has a right to it.
func (s *Server) letIn(c *conn, number string, id uint32) {
	s.mu.Lock()
	d, refusal := s.mayLogin(c, number, id)
	if refusal != nil {
		s.mu.Unlock()
		s.refuseLogin(c, number, id, *refusal)
		return
	}
	older := d.conn
	d.conn, d.inFlight, d.version = c, 0, c.version
	c.device.Store(d)
	success := successNode(d, time.Now())
	s.scheduleEnd(c, d)
	s.mu.Unlock()
	if older != nil {
		older.endWith(replacedNode())
	}
	s.count(func(counters *Counters) { counters.Logins++ })
	s.note(Event{What: "login", From: number, Device: d.id})
	s.log.Info("client logged in", "number", lastDigits(number), "device", id)
	c.send(success)
}

// refuseLogin tells a client why it is not let in.
func (s *Server) refuseLogin(c *conn, number string, id uint32, refusal Refusal) {
	s.log.Info("login refused", "number", lastDigits(number), "device", id, "reason", refusal.Reason)
	s.count(func(counters *Counters) { counters.Refused++ })
	c.endWith(refusal.node())
}

// mayLogin finds the device of a login, or says why there is none. On 401 clients forget their keys and pair anew
// (handleConnectFailure of whatsmeow); that another key earns it too is believed. Call with s.mu held.
func (s *Server) mayLogin(c *conn, number string, id uint32) (*device, *Refusal) {
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return nil, &Refusal{Reason: failureLoggedOut}
	}
	d := a.devices[uint16(min(id, maxDevice+1))]
	if d == nil || !d.linked() {
		return nil, &Refusal{Reason: failureLoggedOut}
	}
	if d.noiseKey != c.static {
		s.problem("login of a linked device with another noise key than at pairing")
		return nil, &Refusal{Reason: failureLoggedOut}
	}
	return d, nil
}

// successNode tells a client that it is logged in. whatsmeow's handleConnectSuccess reads the time and the LID, which must be the
// one of its pairing with the device number, and so does Baileys; the other attributes are a guess.
func successNode(d *device, now time.Time) waBinary.Node {
	return waBinary.Node{Tag: "success", Attrs: waBinary.Attrs{
		"t":            now.Unix(),
		"lid":          d.lidJID(),
		"props":        "27",
		"location":     location,
		"creation":     d.linkedAt.Unix(),
		"display_name": d.account.name,
	}}
}
