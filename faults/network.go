package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

// drop makes the trial's own network lose packets from and to a port, all of them or a share. Nobody is told: no FIN, no RST.
func (t *trial) drop(port string, share float64) (lift func()) {
	t.needsOwn()
	t.needsTool("iptables", "iptables")
	change := func(action string) {
		for _, side := range []string{"--sport", "--dport"} {
			rule := []string{"-w", action, "INPUT", "-p", "tcp", side, port}
			if share < 1 {
				rule = append(rule, "-m", "statistic", "--mode", "random", "--probability", fmt.Sprint(share))
			}
			if err := t.command("iptables", append(rule, "-j", "DROP")...); err != nil {
				t.skip("the kernel has no such firewall: %v", err)
			}
		}
	}
	change("-A")
	return func() { change("-D") }
}

// halfOpen loses every packet between the daemon and WhatsApp. That is noticed and told, and what waits goes out soon after
// the network is back.
func halfOpen(t *trial) {
	w := paired(t)
	for i := range t.cycles {
		before := w.send(contact(i % contacts))
		t.eventually("a message goes out", func() bool { return len(w.hook.about(before.id)) > 0 })
		lift := t.drop(port(w.info.Address), 1)
		noticed := t.within(90*time.Second, "the dead connection is noticed", func() bool { return w.status().State != "online" })
		t.check(w.health("/readyz") == http.StatusServiceUnavailable, "/readyz does not show the dead connection")
		waits := w.send(contact(i % contacts))
		t.pause(t.between(5*time.Second, 10*time.Second))
		lift()
		healed := t.within(30*time.Second, "what waited goes out", func() bool { return len(w.hook.about(waits.id)) > 0 })
		t.note("noticed after %.0f s, back after %.0f s", noticed.Seconds(), healed.Seconds())
		t.result.Cycles++
	}
	w.reckon()
}

// loss loses a fifth of all packets, both ways, between the daemon and WhatsApp and between the daemon and the receiver. Its own
// callers have a good network: with that loss TCP alone takes longer than calls may.
func loss(t *trial) {
	w := paired(t)
	for _, at := range []string{w.info.Address, w.hook.address()} {
		defer t.drop(port(at), 0.2)()
	}
	w.answers = nil
	lasts, between := 30*time.Second, 100*time.Millisecond
	if t.long {
		lasts, between = 10*time.Minute, 400*time.Millisecond // what comes faster than it goes out would wait for as long again
	}
	work := w.load(4, between)
	t.pause(lasts)
	work.stop()
	p99 := percentile(w.answers, 99)
	t.note("99 of 100 calls answered within %.2f s", p99.Seconds())
	t.result.Cycles++
	w.patience = 15 * time.Minute // callbacks whose attempts were lost come again on their schedule
	w.reckon()
	t.check(p99 <= time.Second, "99 of 100 calls are answered within %s only", p99)
}

// names is a DNS server of the trial's own network.
type names struct {
	conn   net.PacketConn
	silent atomic.Bool
	asked  atomic.Int64
	answer func(name string, aaaa bool) []net.IP
}

// newNames starts a DNS server and makes it the only one that the trial's processes know.
func (t *trial) newNames(answer func(name string, aaaa bool) []net.IP) *names {
	t.needsOwn()
	conn, err := net.ListenPacket("udp", "127.0.0.1:53") //nolint:noctx // it lives as long as the trial's network
	if err != nil {
		t.skip("no DNS server of its own: %v", err)
	}
	t.cleanup(func() { _ = conn.Close() })
	n := &names{conn: conn, answer: answer}
	go n.serve()
	known, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		t.skip("no /etc/resolv.conf to put its own over: %v", err)
	}
	ours := filepath.Join(t.dir, "resolv.conf")
	t.must(os.WriteFile(ours, []byte("nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"), 0o600), "write resolv.conf")
	t.must(unix.Mount(ours, known, "", unix.MS_BIND, ""), "put our resolv.conf in place")
	t.cleanup(func() { _ = unix.Unmount(known, 0) })
	return n
}

func (n *names) serve() {
	packet := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(packet)
		if err != nil {
			return // closed
		}
		var question dnsmessage.Message
		if question.Unpack(packet[:size]) != nil || len(question.Questions) != 1 || n.silent.Load() {
			continue
		}
		n.asked.Add(1)
		asked := question.Questions[0]
		reply := dnsmessage.Message{Header: dnsmessage.Header{ID: question.ID, Response: true, RecursionAvailable: true}, Questions: question.Questions}
		for _, ip := range n.answer(strings.TrimSuffix(asked.Name.String(), "."), asked.Type == dnsmessage.TypeAAAA) {
			var body dnsmessage.ResourceBody
			if v4 := ip.To4(); v4 != nil {
				body = &dnsmessage.AResource{A: [4]byte(v4)}
			} else {
				body = &dnsmessage.AAAAResource{AAAA: [16]byte(ip)}
			}
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET}, Body: body})
		}
		if packed, err := reply.Pack(); err == nil {
			_, _ = n.conn.WriteTo(packed, from) // a lost answer is asked for again
		}
	}
}

// namesAway has the DNS server fall silent while callbacks want names. Nothing piles up, and they are delivered afterwards.
func namesAway(t *trial) {
	server := t.newNames(func(_ string, aaaa bool) []net.IP {
		if aaaa {
			return nil
		}
		return []net.IP{net.IPv4(127, 0, 0, 1)}
	})
	w := newWorld(t)
	w.hook.name = "receiver.faults.test"
	w.settings["WHATSAPPD_CALLBACK_ALLOW"] = w.hook.name + ":" + port(w.hook.address())
	w.serve()
	w.pair()
	work := w.load(4, 100*time.Millisecond)
	t.pause(2 * time.Second)
	t.check(server.asked.Load() > 0, "the daemon does not ask our DNS server")
	server.silent.Store(true)
	lasts := 30 * time.Second
	if t.long {
		lasts = 5 * time.Minute
	}
	t.pause(lasts / 2)
	half := w.metric("go_goroutines")
	t.pause(lasts / 2)
	full := w.metric("go_goroutines")
	server.silent.Store(false)
	work.stop()
	t.check(full <= half+10, "%.0f goroutines became %.0f while names were away", half, full)
	t.note("%.0f goroutines, then %.0f", half, full)
	t.result.Cycles++
	w.patience = 15 * time.Minute
	w.reckon()
}
