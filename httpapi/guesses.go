package httpapi

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

const (
	// guessesFree is how many wrong tokens an address may show within guessSpan before its answers come late: a caller whose
	// token was changed must still see at once what is wrong.
	guessesFree = 10
	guessSpan   = time.Minute
	// guessersMost bounds how many addresses are remembered: beyond, the oldest are forgotten together.
	guessersMost = 4096
)

// guesses counts wrong tokens by address.
type guesses struct {
	mu    sync.Mutex
	since time.Time // of the present span
	wrong map[netip.Prefix]int
}

// note counts a wrong token and returns whether its refusal is to come late. first is true once in each span: that is worth a
// line in the log.
func (g *guesses) note(remote string, now time.Time) (late, first bool) {
	from := source(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wrong == nil || now.Sub(g.since) >= guessSpan || len(g.wrong) >= guessersMost {
		g.since, g.wrong = now, map[netip.Prefix]int{}
	}
	g.wrong[from]++
	if g.wrong[from] <= guessesFree {
		return false, false
	}
	return true, g.wrong[from] == guessesFree+1
}

// source is what counts as one address: of IPv6 whoever has one has the whole /64.
func source(remote string) netip.Prefix {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := address.Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}

// slowGuess holds the refusal of a wrong token back when its address has shown many. A right token is never late, also from
// the same address.
func (a *API) slowGuess(ctx context.Context, remote string) {
	late, first := a.guesses.note(remote, a.opts.Now())
	if first {
		a.log.LogAttrs(ctx, slog.LevelWarn, "an address shows wrong tokens again and again; its refusals come late from now on",
			slog.String("address", source(remote).String()))
	}
	if !late {
		return
	}
	timer := time.NewTimer(a.opts.GuessDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
