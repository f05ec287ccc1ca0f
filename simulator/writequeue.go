package simulator

import (
	"sync"
	"time"

	"github.com/coder/websocket"
	waBinary "go.mau.fi/whatsmeow/binary"
)

// writeTimeout ends a connection whose client reads nothing for so long.
const writeTimeout = 30 * time.Second

// ending says how a connection ends after its last stanza.
type ending int

const (
	notEnding    ending = iota
	hangUpNicely        // websocket close
	hangUpAfterGrace
	stayOpen // write no more, and leave the connection as it is
)

// stanza is a stanza on its way to the client.
type stanza struct {
	tag  string
	data []byte // encoded
}

// writeQueue holds stanzas until the writer takes them. It has no bound: who sends must not wait for a slow client.
type writeQueue struct {
	mu      sync.Mutex
	nodes   []stanza
	ending  ending
	stopped bool
	wake    chan struct{} // holds one
}

func newWriteQueue() writeQueue { return writeQueue{wake: make(chan struct{}, 1)} }

// put appends a stanza and, with an ending, closes the queue behind it. It returns false when the queue is closed.
func (q *writeQueue) put(node *stanza, end ending) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped || q.ending != notEnding {
		return false
	}
	if node != nil {
		q.nodes = append(q.nodes, *node)
	}
	q.ending = end
	q.signal()
	return true
}

// stop makes take return without what is left.
func (q *writeQueue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.nodes = nil
	q.signal()
}

func (q *writeQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for stanzas. ok is false once the queue was stopped.
func (q *writeQueue) take() (nodes []stanza, end ending, ok bool) {
	for {
		q.mu.Lock()
		nodes, end, stopped := q.nodes, q.ending, q.stopped
		q.nodes = nil
		q.mu.Unlock()
		if stopped {
			return nil, notEnding, false
		}
		if len(nodes) > 0 || end != notEnding {
			return nodes, end, true
		}
		<-q.wake
	}
}

// send queues a stanza for the client and returns at once; stanzas leave in the order they were queued. On a connection
// that is ending it does nothing. It may be called under any lock.
func (c *conn) send(n waBinary.Node) {
	c.enqueue(&n, notEnding)
}

func (c *conn) enqueue(n *waBinary.Node, end ending) {
	var out *stanza
	if n != nil {
		data, err := waBinary.Marshal(*n)
		if err != nil {
			c.s.log.Error("stanza lost", "error", err)
			return
		}
		out = &stanza{tag: n.Tag, data: data}
	}
	c.queue.put(out, end)
}

// endWith sends a last stanza, waits the grace time and closes the connection. What the client says meanwhile is ignored.
func (c *conn) endWith(n waBinary.Node) {
	c.ending.Store(true)
	c.enqueue(&n, hangUpAfterGrace)
}

// hangUp closes the websocket after what is queued.
func (c *conn) hangUp() {
	c.ending.Store(true)
	c.enqueue(nil, hangUpNicely)
}

// hangUpLater closes the websocket after what is queued and the grace time.
func (c *conn) hangUpLater() {
	c.ending.Store(true)
	c.enqueue(nil, hangUpAfterGrace)
}

// drop cuts the TCP connection at once, without a websocket close, whatever the websocket is doing.
func (c *conn) drop() {
	c.ending.Store(true)
	_ = c.tcp.Close() // closed already, at worst
	c.cutOnce.Do(func() { close(c.cut) })
}

// write is the writing goroutine.
func (c *conn) write() {
	for {
		nodes, end, ok := c.queue.take()
		if !ok {
			return
		}
		for _, node := range nodes {
			if err := c.sendStanza(node); err != nil {
				c.s.log.Debug("write failed", "reason", err)
				c.drop()
				return
			}
		}
		switch end {
		case hangUpAfterGrace:
			c.pause(c.s.opts.CloseGrace)
			fallthrough
		case hangUpNicely:
			_ = c.ws.Close(websocket.StatusNormalClosure, "") // the client may have been faster
			return
		case stayOpen:
			return
		}
	}
}

// pause waits, but not longer than the connection or the server lasts.
func (c *conn) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-c.s.ctx.Done():
			return
		case <-c.queue.wake:
			if c.queue.isStopped() {
				return
			}
		}
	}
}

func (q *writeQueue) isStopped() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stopped
}

// sendStanza encrypts a stanza and sends it, unless a fault does something else with it.
func (c *conn) sendStanza(n stanza) error {
	f, met := c.s.meet(moment{at: "frame", account: c.number(), kind: n.tag})
	if met && f.Do == "undecodable" {
		n.data = []byte{0, 0xff} // not compressed, and no list: what every stanza begins with
	}
	body := c.crypt.seal(n.data)
	if met {
		if sent, err := c.spoil(f, body); sent {
			return err
		}
	}
	return c.writeFrame(body)
}

// writeFrame sends one frame in one websocket message: clients read a frame that is spread over messages wrongly.
func (c *conn) writeFrame(body []byte) error {
	message, err := appendFrame(make([]byte, 0, 3+len(body)), body)
	if err != nil {
		return err
	}
	return c.writeMessage(message)
}
