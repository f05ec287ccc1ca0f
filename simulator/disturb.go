package simulator

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/coder/websocket"
	waBinary "go.mau.fi/whatsmeow/binary"
	"google.golang.org/protobuf/encoding/protowire"
)

// later runs act after a delay, unless the server is closed before. With no delay it runs at once, in the same goroutine.
func (s *Server) later(delay Duration, act func()) {
	if delay <= 0 {
		act()
		return
	}
	s.spawn(func(ctx context.Context) {
		if pause(ctx, time.Duration(delay)) {
			act()
		}
	})
}

// laterLocked is later for callers that hold s.mu: act runs under it, and never at once.
func (s *Server) laterLocked(delay Duration, act func()) {
	s.spawnLocked(func(ctx context.Context) {
		if pause(ctx, time.Duration(delay)) {
			s.mu.Lock()
			defer s.mu.Unlock()
			act()
		}
	})
}

// pause waits and is false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// disturb carries out what can go wrong with every stanza: it is dealt with late or never, or the connection is cut before
// or after. act deals with it. It is false for a fault of another kind.
func (s *Server) disturb(c *conn, f Fault, act func()) bool {
	switch f.Do {
	case doDelay:
		s.later(f.Delay, act)
	case doSilence:
	case doDrop:
		c.drop()
	case doReset:
		c.reset()
	case doDropAfter:
		c.queue.stop() // no answer leaves any more
		act()
		c.drop()
	default:
		return false
	}
	return true
}

// disturbHTTP carries out what can go wrong with every HTTP request. It is false when the request is to be answered after
// all, late or with a fault of its own kind.
func (s *Server) disturbHTTP(w http.ResponseWriter, r *http.Request, f Fault) (handled bool) {
	switch f.Do {
	case doError:
		http.Error(w, http.StatusText(f.Code), f.Code)
	case doSilence:
		wait, cancel := context.WithCancel(r.Context())
		stop := context.AfterFunc(s.ctx, cancel)
		<-wait.Done()
		stop()
	case doDrop:
		cut(r, false)
	case doReset:
		cut(r, true)
	case doDelay:
		wait, cancel := context.WithCancel(r.Context())
		stop := context.AfterFunc(s.ctx, cancel)
		defer cancel()
		defer stop()
		return !pause(wait, time.Duration(f.Delay))
	default:
		return false
	}
	return true
}

// cut ends the TCP connection of a request, with a reset or as it is.
func cut(r *http.Request, reset bool) {
	tcp, _ := r.Context().Value(tcpKey{}).(net.Conn)
	if reset {
		forceReset(tcp)
	}
	_ = tcp.Close() // closed already, at worst
}

// forceReset makes the next close of a TCP connection a reset.
func forceReset(tcp net.Conn) {
	if tcp, ok := tcp.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closed already, at worst
	}
}

// reset cuts the TCP connection with RST instead of FIN.
func (c *conn) reset() {
	forceReset(c.tcp)
	c.drop()
}

// spoil sends a frame in one of the wrong ways. It is false for a fault that leaves the frame itself alone.
func (c *conn) spoil(f Fault, body []byte) (sent bool, err error) {
	switch f.Do {
	case "split":
		if err := c.writeHalf(body); err != nil {
			return true, err
		}
		return true, c.writeMessage(body[len(body)/2:])
	case "half":
		_ = c.writeHalf(body) // cut right after
		c.drop()
		return true, net.ErrClosed
	case "truncated":
		return true, c.writeHalf(body)
	case "garbage":
		return true, c.writeFrame(randomBytes(len(body)))
	case doDrop:
		c.drop()
		return true, net.ErrClosed
	case doReset:
		c.reset()
		return true, net.ErrClosed
	case doDelay:
		c.pause(time.Duration(f.Delay))
	}
	return false, nil
}

// writeHalf sends the length of a frame and the first half of its body.
func (c *conn) writeHalf(body []byte) error {
	frame, err := appendFrame(nil, body)
	if err != nil {
		return err
	}
	return c.writeMessage(frame[:3+len(body)/2])
}

// writeMessage sends one websocket message.
func (c *conn) writeMessage(message []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return c.ws.Write(ctx, websocket.MessageBinary, message)
}

// damaged returns a copy of a message stanza with one bit of each authentication code turned: the ratchet does not move.
func damaged(n waBinary.Node) waBinary.Node {
	children := slices.Clone(n.GetChildren())
	for i := range children {
		if children[i].Tag == "enc" {
			ciphertext := slices.Clone(content(&children[i]))
			ciphertext[endOfCode(text(&children[i], "type"), ciphertext)] ^= 1
			children[i].Content = ciphertext
		}
	}
	n.Content = children
	return n
}

// endOfCode finds the last byte of the authentication code in a ciphertext. It is the last byte of a message in a session,
// which a first message has as its field 4.
func endOfCode(kind string, ciphertext []byte) int {
	const version, sealed = 1, 4
	for at := version; kind == firstMessages && at < len(ciphertext); {
		field, _, size := protowire.ConsumeField(ciphertext[at:])
		if size < 0 {
			break
		}
		at += size
		if field == sealed {
			return at - 1
		}
	}
	return len(ciphertext) - 1
}
