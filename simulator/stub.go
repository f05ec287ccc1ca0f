package simulator

import (
	"net/http"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// What the signal half provides. Move each line out of here into its own file.

type Behaviour struct{}

type signalDevice struct{}

type signalState struct{}

func (s *Server) virtual(d *device) *signalDevice           { return d.signal }
func (s *Server) handleMessage(c *conn, n *waBinary.Node)   {}
func (s *Server) handleReceipt(c *conn, n *waBinary.Node)   {}
func (s *Server) handleClientAck(c *conn, n *waBinary.Node) {}
func (s *Server) handleEncrypt(c *conn, n *waBinary.Node) {
	c.result(n, waBinary.Node{Tag: "count", Attrs: waBinary.Attrs{"value": 0}})
}
func (s *Server) deliverWaiting(c *conn)                    {}
func (s *Server) clientGone(d *device)                      {}
func (s *Server) controlHandler() http.Handler              { return http.NotFoundHandler() }
func (d *signalDevice) export() signalState                 { return signalState{} }
func importSignal(state signalState) (*signalDevice, error) { return &signalDevice{}, nil }
