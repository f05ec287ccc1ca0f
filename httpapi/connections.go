package httpapi

import (
	"container/list"
	"context"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// connections bounds what clients make the daemon hold: how many connections there are, and how many long requests come in at
// once (see [places]).
//
// Where there is too much, a connection gives way on which no request with a right token is under way: of the address that has
// most connections, the one that did nothing for longest. So whoever has a token gets in, however many others hold on.
type connections struct {
	net.Listener
	most   int
	places *places

	mu    sync.Mutex
	order *list.List                // of *connection, the one that did nothing for longest first
	from  map[netip.Prefix]*address // that have connections
	sizes []int                     // how many addresses have so many connections, by that number; the last one is not 0
}

// address is who has connections.
type address struct{ count int }

func newConnections(listener net.Listener, limits Limits) *connections {
	return &connections{Listener: listener, most: limits.Connections, places: newPlaces(limits.Header), order: list.New(), from: map[netip.Prefix]*address{}, sizes: []int{0}}
}

// connection is one of them. Its listener guards what follows the network's own.
type connection struct {
	net.Conn
	all    *connections
	source netip.Prefix
	from   *address
	order  *list.Element // nil once it gave way or is closed
	gone   chan struct{} // closed with it

	working atomic.Bool  // a request with a right token is under way
	arrived atomic.Bool  // and all of it is here that is needed
	sent    atomic.Int64 // bytes since the last answer
	broken  error        // how it broke off in the middle of a long request; only for who reads
}

// Accept implements net.Listener. With no room and nobody to give way, who comes is turned away.
func (l *connections) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, all: l, source: source(conn.RemoteAddr().String()), gone: make(chan struct{})}
		if l.admit(c) {
			return c, nil
		}
		_ = conn.Close()
	}
}

func (l *connections) admit(c *connection) bool {
	l.mu.Lock()
	var leaves *connection
	if l.order.Len() >= l.most {
		if leaves = l.idlest(); leaves == nil {
			l.mu.Unlock()
			return false
		}
		l.forget(leaves)
	}
	c.order = l.order.PushBack(c)
	if c.from = l.from[c.source]; c.from == nil {
		c.from = &address{}
		l.from[c.source] = c.from
	}
	l.resize(c.from, +1)
	l.mu.Unlock()
	if leaves != nil {
		_ = leaves.Conn.Close()
	}
	return true
}

// idlest is who gives way to another connection. Call with l.mu held.
func (l *connections) idlest() (leaves *connection) {
	for e := l.order.Front(); e != nil; e = e.Next() {
		c := e.Value.(*connection)
		if !c.working.Load() && (leaves == nil || c.from.count > leaves.from.count) {
			if leaves = c; c.from.count == len(l.sizes)-1 {
				break // no address has more
			}
		}
	}
	return leaves
}

// resize notes that an address has one connection more or less. Call with l.mu held.
func (l *connections) resize(from *address, by int) {
	if from.count > 0 {
		l.sizes[from.count]--
	}
	if from.count += by; from.count == len(l.sizes) {
		l.sizes = append(l.sizes, 0)
	}
	if from.count > 0 {
		l.sizes[from.count]++
	}
	if last := len(l.sizes) - 1; last > 0 && l.sizes[last] == 0 {
		l.sizes = l.sizes[:last]
	}
}

// forget takes a connection off the books. Call with l.mu held.
func (l *connections) forget(c *connection) {
	if c.order == nil {
		return
	}
	close(c.gone)
	l.order.Remove(c.order)
	c.order = nil
	if l.resize(c.from, -1); c.from.count == 0 {
		delete(l.from, c.source)
	}
}

// giveWay closes a connection under whoever reads from it.
func (c *connection) giveWay() {
	c.all.mu.Lock()
	c.all.forget(c)
	c.all.mu.Unlock()
	_ = c.Conn.Close()
}

// Read implements net.Conn. Of a long request more comes once it has a place.
func (c *connection) Read(p []byte) (n int, err error) {
	if c.broken != nil {
		return 0, c.broken
	}
	short := shortMost - c.sent.Load() // is left
	long := short <= 0 && !c.arrived.Load()
	if long {
		err = c.all.places.take(c)
	} else if short > 0 {
		p = p[:min(len(p), int(short))]
	}
	if err == nil {
		n, err = c.Conn.Read(p)
		c.sent.Add(int64(n))
	}
	if long && err != nil && !c.working.Load() && len(p) > 1 { // with one byte net/http looks whether who waits for an answer has gone
		c.broken = err
		return fill(p), nil
	}
	return n, err
}

// fill ends a line that breaks off, so that the buffer of who reads it is full, and the error comes alone. Where line and error
// come together, net/http takes the line for a whole one and quotes it, however long it is, in an error that nobody sees: that
// takes twice the time of all the rest. Nothing becomes a request by it, because none ends without the end of a line.
func fill(p []byte) int {
	for i := range p {
		p[i] = 'x'
	}
	return len(p)
}

// Close implements net.Conn. Its reader has ended, and holds nothing any more.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.forget(c)
	c.all.mu.Unlock()
	c.all.places.leave(c)
	return c.Conn.Close()
}

// CloseWrite lets the server say its last word to a client that is still sending.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// answered says that a request ended: the next one may be anybody's.
func (c *connection) answered() {
	c.working.Store(false)
	c.arrived.Store(false)
	c.sent.Store(0)
	c.all.places.leave(c)
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	if c.order != nil {
		c.all.order.MoveToBack(c.order)
	}
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// keepConnection is called once a request has shown a right token.
func keepConnection(ctx context.Context) {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok { // else not served by a Server
		c.working.Store(true)
	}
}

// allHere is called once a request with a right token has a body no more, or none that is needed.
func allHere(ctx context.Context) {
	if c, ok := ctx.Value(connectionKey{}).(*connection); ok && c.working.Load() {
		c.arrived.Store(true)
		c.all.places.leave(c)
	}
}

// body tells when it has been read.
type body struct {
	io.ReadCloser
	request context.Context //nolint:containedctx // a body is a part of its request
}

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		allHere(b.request)
	}
	return n, err
}
