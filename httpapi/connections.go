package httpapi

import (
	"container/list"
	"context"
	"net"
	"net/netip"
	"sync"
)

// unreadMost bounds what all clients together may have sent of requests that are not answered yet, in bytes: some twenty
// messages of the greatest length at once, and very many usual ones.
const unreadMost = 16 << 20

// connections bounds what clients make the daemon hold: how many connections there are, and how much was sent over them.
//
// Where there is too much, a connection gives way on which no request with a right token is under way: of the address that has
// most connections, the one that did nothing for longest. So whoever has a token gets in, however many others hold on.
type connections struct {
	net.Listener
	most   int
	unread int64

	mu    sync.Mutex
	order *list.List           // of *connection, the one that did nothing for longest first
	from  map[netip.Prefix]int // connections by address
	sent  int64                // of all
}

func newConnections(listener net.Listener, most int, unread int64) *connections {
	return &connections{Listener: listener, most: most, unread: unread, order: list.New(), from: map[netip.Prefix]int{}}
}

// connection is one of them. Its listener guards what follows the network's own.
type connection struct {
	net.Conn
	all     *connections
	address netip.Prefix
	place   *list.Element // nil once it is closed
	working bool          // a request with a right token is under way
	sent    int64         // bytes since the last answer
}

// Accept implements net.Listener. With no room and nobody to give way, who comes is turned away.
func (l *connections) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, all: l, address: source(conn.RemoteAddr().String())}
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
	c.place = l.order.PushBack(c)
	l.from[c.address]++
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
		if !c.working && (leaves == nil || l.from[c.address] > l.from[leaves.address]) {
			leaves = c
		}
	}
	return leaves
}

// greediest is who gives way when too much was sent. Call with l.mu held.
func (l *connections) greediest() (leaves *connection) {
	for e := l.order.Front(); e != nil; e = e.Next() {
		c := e.Value.(*connection)
		if !c.working && (leaves == nil || c.sent > leaves.sent) {
			leaves = c
		}
	}
	return leaves
}

// forget takes a connection off the books. Call with l.mu held.
func (l *connections) forget(c *connection) {
	if c.place == nil {
		return
	}
	l.order.Remove(c.place)
	c.place = nil
	l.sent -= c.sent
	if l.from[c.address]--; l.from[c.address] == 0 {
		delete(l.from, c.address)
	}
}

// Read implements net.Conn and counts.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.all.count(c, int64(n))
	return n, err
}

func (l *connections) count(c *connection, n int64) {
	l.mu.Lock()
	var leaves *connection
	if c.place != nil {
		c.sent += n
		if l.sent += n; l.sent > l.unread {
			if leaves = l.greediest(); leaves != nil {
				l.forget(leaves)
			}
		}
	}
	l.mu.Unlock()
	if leaves != nil {
		_ = leaves.Conn.Close()
	}
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.forget(c)
	c.all.mu.Unlock()
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
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.working = false
	if c.place != nil {
		c.all.sent -= c.sent
		c.all.order.MoveToBack(c.place)
	}
	c.sent = 0
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// keepConnection is called once a request has shown a right token.
func keepConnection(ctx context.Context) {
	c, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return // not served by a Server
	}
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.working = true
}
