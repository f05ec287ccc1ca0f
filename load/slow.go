package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// slow lets very many clients hold on to the daemon with requests that they do not finish, and a tenth as many with requests as
// long as they may be, and looks how others fare beside them.
func slow(ctx context.Context, b *bench) error {
	const rate = 50 // of the others
	w, err := newWorld(ctx, b, map[string]string{"WHATSAPPD_PAIRING_AUTO": "false"})
	if err != nil {
		return err
	}
	defer w.close()
	count, note := b.slow, ""
	if most := handlesAllowed() * 4 / 5; count > most {
		count, note = most, fmt.Sprintf(" (%d were wanted: too few open files are allowed)", b.slow)
	}
	others := drive{address: w.address, rate: rate, each: 1, status: 200, request: func(int) []byte {
		return []byte("GET /v1/tasks?limit=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Token token=" + token + "\r\n\r\n")
	}}
	alone := others.during(ctx, b.span/2)
	before, err := w.daemon.memory("VmRSS")
	if err != nil {
		return err
	}
	var held holders
	defer held.close()
	held.open(ctx, w.address, count, "POST /ws/check/4915112345678/http://host/ HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("y", 4<<10))
	kept, err := w.daemon.handles()
	if err != nil {
		return err
	}
	beside := others.during(ctx, min(b.span, 5*time.Second)) // the daemon closes them after ten
	during, err := w.daemon.memory("VmRSS")
	if err != nil {
		return err
	}
	held.open(ctx, w.address, count/10, "POST /ws/message/4915112345678/"+strings.Repeat("y", 900<<10))
	large := others.during(ctx, min(b.span, 5*time.Second))
	most, err := w.daemon.memory("VmHWM")
	if err != nil {
		return err
	}
	for _, a := range []answers{alone, beside, large} {
		if err := a.err(); err != nil {
			return err
		}
	}
	b.tell(fmt.Sprintf("%d slow clients%s", count, note), fmt.Sprintf("%d handles", kept), "", "bounded by limit.connections")
	b.tell("  RSS before, beside them, at most with large requests", fmt.Sprintf("%s, %s, %s", mib(before), mib(during), mib(most)), "", "flat")
	b.tell(fmt.Sprintf("  p99 of others at %d/s: before, beside, with large ones", rate),
		fmt.Sprintf("%s, %s, %s", ms(alone.percentile(99)), ms(beside.percentile(99)), ms(large.percentile(99))), "", "<= 100 ms")
	_, err = w.daemon.stop()
	return err
}

// handlesAllowed is how many files the system lets this process open.
func handlesAllowed() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1024
	}
	return int(min(limit.Cur, 1<<20))
}

// holders are connections that say a part of a request and no more.
type holders struct {
	mu  sync.Mutex
	all []net.Conn
}

// open opens connections, some at a time. Those that the daemon closes are not opened again.
func (h *holders) open(ctx context.Context, address string, count int, says string) {
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			for range (count + i) / clients {
				if ctx.Err() != nil {
					return
				}
				conn, err := net.DialTimeout("tcp", address, 5*time.Second) //nolint:noctx // on loopback, with a time limit
				if err != nil {
					continue // the system's own queue is full for the moment
				}
				h.mu.Lock()
				h.all = append(h.all, conn)
				h.mu.Unlock()
				_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second)) // it may be closed already
				_, _ = io.WriteString(conn, says)
			}
		})
	}
	group.Wait()
}

func (h *holders) close() {
	for _, conn := range h.all {
		_ = conn.Close()
	}
}
