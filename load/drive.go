package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// clients is how many connections a driver uses.
const clients = 64

// drive is a series of requests.
type drive struct {
	address string             // host:port
	rate    float64            // a second; 0 is as fast as answers come, with all clients
	clients int                // 0 for the usual number
	each    int                // requests on one connection; 0 is all
	from    func() net.Addr    // where a connection comes from; nil for any port
	request func(n int) []byte // the n-th
	status  int                // that is wanted
}

// answers is what came of a drive.
type answers struct {
	took   []time.Duration // of those with the wanted status, sorted
	bodies map[int][]byte  // of these, by number; only where they are kept
	begun  map[int]time.Time
	other  map[string]int // other answers, and failures
	span   time.Duration
}

// run sends requests until the context ends. The load is open: each request has its time, whatever became of those before, and
// is measured from that time on, so that a daemon that stalls does not hide it by holding the driver up.
func (d drive) run(ctx context.Context) answers {
	if d.clients == 0 {
		d.clients = clients
	}
	var next atomic.Int64
	var mu sync.Mutex
	var group sync.WaitGroup
	all := answers{bodies: map[int][]byte{}, begun: map[int]time.Time{}, other: map[string]int{}}
	begun := time.Now()
	for range d.clients {
		group.Go(func() {
			c := client{drive: d, own: answers{bodies: map[int][]byte{}, begun: map[int]time.Time{}, other: map[string]int{}}}
			defer c.hangUp()
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				due := time.Now()
				if d.rate > 0 {
					due = begun.Add(time.Duration(float64(n) / d.rate * float64(time.Second)))
					if !sleepUntil(ctx, due) {
						break
					}
				}
				c.ask(n, due)
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(c.own)
		})
	}
	group.Wait()
	all.span = time.Since(begun)
	slices.Sort(all.took)
	return all
}

// during is run for some time.
func (d drive) during(ctx context.Context, span time.Duration) answers {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	return d.run(ctx)
}

func sleepUntil(ctx context.Context, due time.Time) bool {
	pause := time.Until(due)
	if pause <= 0 {
		return true
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *answers) add(b answers) {
	a.took = append(a.took, b.took...)
	maps.Copy(a.bodies, b.bodies)
	maps.Copy(a.begun, b.begun)
	for what, times := range b.other {
		a.other[what] += times
	}
}

// perSecond is how many wanted answers came a second.
func (a answers) perSecond() float64 { return float64(len(a.took)) / a.span.Seconds() }

// percentile is the time that so many of 100 answers did not exceed.
func (a answers) percentile(of int) time.Duration { return percentile(a.took, of) }

// percentile is the time that so many of 100 sorted times do not exceed.
func percentile(sorted []time.Duration, of int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*of/100)]
}

// err tells of answers that were not wanted.
func (a answers) err() error {
	if len(a.other) == 0 {
		return nil
	}
	return fmt.Errorf("answers that were not wanted: %v", a.other)
}

// client is one connection of a drive, made anew when it ended. It is much cheaper than net/http's, which would take half of
// the machine from what is measured.
type client struct {
	drive
	own    answers
	conn   net.Conn
	reader *bufio.Reader
	sent   int // on this connection
}

// ask sends one request and keeps what came of it.
func (c *client) ask(n int, due time.Time) {
	status, body, err := c.exchange(c.request(n))
	switch {
	case err != nil:
		c.hangUp()
		c.own.other[reason(err)]++
	case status != c.status:
		c.own.other[http.StatusText(status)]++
	default:
		c.own.took = append(c.own.took, time.Since(due))
		if status == http.StatusAccepted {
			c.own.bodies[n], c.own.begun[n] = body, due
		}
	}
}

func (c *client) exchange(request []byte) (status int, body []byte, err error) {
	if c.each > 0 && c.sent >= c.each {
		c.hangUp()
	}
	if c.conn == nil {
		dialer := net.Dialer{Timeout: 30 * time.Second}
		if c.from != nil {
			dialer.LocalAddr = c.from()
		}
		if c.conn, err = dialer.Dial("tcp", c.address); err != nil {
			return 0, nil, err
		}
		c.reader, c.sent = bufio.NewReader(c.conn), 0
	}
	c.sent++
	if err = c.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, nil, err
	}
	if _, err = c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.Close {
		c.hangUp()
	}
	return res.StatusCode, body, err
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// reason is an error without the addresses, so that alike ones are counted together.
func reason(err error) string {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
