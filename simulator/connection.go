package simulator

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"
	waBinary "go.mau.fi/whatsmeow/binary"
)

// conn is one websocket of a client, from handshake to close. Stanzas are read and handled one after the other in the
// goroutine that serves the connection; a second goroutine writes.
type conn struct {
	s    *Server
	ws   *websocket.Conn
	tcp  net.Conn      // below the websocket
	done chan struct{} // closed when the connection has ended

	static  [32]byte // the client's Noise key
	crypt   *transport
	pairing *pairing // nil on a connection that logged in

	// device is who is logged in, nil before login and after a logout. It is set under Server.mu.
	device atomic.Pointer[device]
	// loggedOut says that the client took its own device from the account: what it was about to confirm still comes.
	loggedOut atomic.Bool
	// lidAddressing says that the client wants to be addressed by LID: it announced that its store knows LIDs (lidDbMigrated in its
	// payload: whatsmeow does, Baileys 7.0.0-rc14 does not). That the server goes by it is believed.
	lidAddressing bool
	version       string // of the protocol, as the client announced it
	// active is true once `passive active` was answered: from then on stanzas may be delivered. Both clients ask for it when they
	// are ready; that nothing is delivered before is believed. Guarded by Server.mu.
	active bool
	// offline is how many stanzas waited for the client when it became active, offlineSent how many of them it was sent.
	// Guarded by Server.mu.
	offline, offlineSent int
	offlineEnded         bool

	ending  atomic.Bool // a last stanza is on its way: nothing the client says counts any more
	stuck   atomic.Bool // nothing is read any more
	cut     chan struct{}
	cutOnce sync.Once // closes cut, when the TCP connection was closed here
	queue   writeQueue
}

// who returns the linked device that is logged in, nil when there is none.
func (c *conn) who() *device { return c.device.Load() }

// number returns the number of the account that is logged in, "" when there is none.
func (c *conn) number() string {
	if d := c.who(); d != nil {
		return d.account.number
	}
	return ""
}

// tcpKey finds a request's TCP connection in its context.
type tcpKey struct{}

// serveChat is the websocket endpoint of clients.
func (s *Server) serveChat(w http.ResponseWriter, r *http.Request) {
	if f, met := s.meet(moment{at: "connect"}); met && s.disturbHTTP(w, r, f) {
		return
	}
	// Clients name the real site as their origin.
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		s.log.Debug("websocket refused", "error", err)
		return
	}
	ws.SetReadLimit(maxFrame + 64<<10)
	tcp, _ := r.Context().Value(tcpKey{}).(net.Conn)
	c := &conn{s: s, ws: ws, tcp: tcp, done: make(chan struct{}), cut: make(chan struct{}), queue: newWriteQueue()}
	if !s.enter(c) {
		_ = ws.CloseNow()
		return
	}
	defer s.work.Done()
	c.serve()
}

// enter registers a connection, so that Close cuts it and waits for it. It returns false after Close.
func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	s.conns[c] = struct{}{}
	return true
}

// serve runs the connection until either side ends it.
func (c *conn) serve() {
	defer c.leave()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream := bufio.NewReader(websocket.NetConn(ctx, c.ws, websocket.MessageBinary))
	result, err := c.handshake(stream)
	if err != nil {
		if !hungUp(err) {
			c.s.problem("handshake refused: %v", err)
		}
		c.drop()
		return
	}
	c.s.count(func(counters *Counters) { counters.Connections++ })
	c.static, c.crypt = result.static, result.transport
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.admit(result.payload)
	c.read(stream)
	c.queue.stop()
	c.drop()
	writer.Wait()
}

// handshake reads the prologue and runs the Noise handshake.
func (c *conn) handshake(stream io.Reader) (*greeted, error) {
	late := time.AfterFunc(c.s.opts.HandshakeTimeout, c.drop) // a client may well hang up before it has said anything
	defer late.Stop()
	prologue, err := readPrologue(stream)
	if err != nil {
		return nil, err
	}
	receive := func() ([]byte, error) { return readFrame(stream) }
	f, met := c.s.meet(moment{at: "handshake"})
	if !met {
		return respond(prologue, c.s.authority, receive, c.writeFrame)
	}
	authority, err := c.s.authority.spoiled(f.Do)
	if err != nil {
		return nil, err
	}
	return respond(prologue, authority, receive, func(hello []byte) error { return c.answerLate(f, hello) })
}

// answerLate is how the server's hello leaves when a fault strikes the handshake.
func (c *conn) answerLate(f Fault, hello []byte) error {
	switch f.Do {
	case doSilence:
		<-c.cut // by the client's patience or the server's
		return net.ErrClosed
	case doDrop:
		c.drop()
		return net.ErrClosed
	case "half":
		_ = c.writeHalf(hello) // cut right after
		c.drop()
		return net.ErrClosed
	case "garbage":
		hello = randomBytes(len(hello))
	case doDelay:
		pause(c.s.ctx, time.Duration(f.Delay))
	}
	return c.writeFrame(hello)
}

// hungUp tells a connection that ended from one that said something wrong.
func hungUp(err error) bool {
	var closed websocket.CloseError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.As(err, &closed)
}

// read handles the client's stanzas until the connection ends.
func (c *conn) read(stream io.Reader) {
	for {
		frame, err := readFrame(stream)
		if err != nil {
			c.s.log.Debug("connection ended", "reason", err)
			return
		}
		if c.stuck.Load() {
			<-c.cut
			return
		}
		plain, err := c.crypt.open(frame)
		if err != nil {
			c.s.problem("%v", err)
			c.drop()
			return
		}
		n, err := decodeNode(plain)
		if err != nil {
			c.s.problem("%v", err)
			c.drop()
			return
		}
		if !c.ending.Load() {
			c.s.dispatch(c, n)
		}
	}
}

// dispatch hands a stanza to whoever answers it. Clients expect no answer to the last kinds, which are only counted: `ib` is
// sendUnifiedSession of whatsmeow; `xmlstreamend` ends a stream, and that clients may send it is a guess.
func (s *Server) dispatch(c *conn, n *waBinary.Node) {
	switch n.Tag {
	case "iq":
		s.handleIQ(c, n)
	case "message", "receipt", "ack":
		s.dispatchTraffic(c, n)
	case "presence", "chatstate":
		s.count(func(counters *Counters) { counters.Noted[n.Tag]++ })
		if n.Tag == "presence" {
			s.handlePresence(c, n)
		} else {
			s.handleChatState(c, n)
		}
	case "ib", "notification", "xmlstreamend":
		s.count(func(counters *Counters) { counters.Noted[n.Tag]++ })
	default:
		s.unhandled("stanza " + n.Tag)
	}
}

// dispatchTraffic hands on what only logged-in clients may send.
func (s *Server) dispatchTraffic(c *conn, n *waBinary.Node) {
	d := c.who()
	switch {
	case d == nil && c.pairing != nil && n.Tag == "ack" && text(n, "class") == "notification":
		return // of a step of the pairing; nothing is kept for it
	case d == nil && c.loggedOut.Load() && n.Tag != "message":
		return // a receipt or an ack that crossed the logout: there is nothing left to confirm
	case d == nil:
		s.problem("%s before login", n.Tag)
		return
	}
	switch n.Tag {
	case "message":
		s.handleMessage(c, d, n)
	case "receipt":
		s.handleReceipt(c, d, n)
	default:
		s.handleClientAck(d, n)
	}
}

// leave forgets the connection after it ended.
func (c *conn) leave() {
	c.drop()
	_ = c.ws.CloseNow() // frees what the websocket holds
	close(c.done)
	s := c.s
	s.mu.Lock()
	delete(s.conns, c)
	if c.pairing != nil {
		s.dropCodes(c.pairing)
	}
	gone := c.who()
	if gone != nil && gone.conn == c {
		gone.conn, gone.inFlight = nil, 0 // what it has not acknowledged comes again at the next login
	} else {
		gone = nil // another connection has taken over
	}
	s.mu.Unlock()
	if c.pairing != nil {
		s.decide(c.pairing, errors.New("the client hung up"), nil)
	}
	s.news.tell()
	if gone != nil {
		s.note(Event{What: "gone", From: gone.account.number, Device: gone.id})
	}
}
