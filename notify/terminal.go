// Package notify shows operators what the account has to tell: pairing codes and the state of the connection, in the
// terminal and in a Slack channel. A code is a credential to the account, so none is left behind once it is of no use.
//
// It knows the session's events and how each place shows them. Nothing here can hold up a pairing.
package notify

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/mdp/qrterminal/v3"

	"whatsappd/session"
)

// Mode says when codes are drawn in the terminal.
type Mode string

// The modes.
const (
	Auto   Mode = "auto"   // when the output is a terminal
	Always Mode = "always" // also into a log: whoever can read it can link a device
	Never  Mode = "never"
)

// Terminal draws pairing codes. On a terminal a new code replaces the old one in place, and the place is cleared when the
// round ends; in a log each code is printed once and said to be void later.
type Terminal struct {
	out  io.Writer
	tty  bool
	draw bool
	now  func() time.Time

	mu    sync.Mutex
	round int
	code  int // index of the code on show, 0 for none
	lines int // how many lines it takes
}

// NewTerminal makes a terminal over an output; tty says whether the output is one.
func NewTerminal(out io.Writer, tty bool, mode Mode) *Terminal {
	return &Terminal{out: out, tty: tty, draw: mode == Always || mode == Auto && tty, now: time.Now}
}

// Observe shows what there is to see of an event.
func (t *Terminal) Observe(event session.Event) {
	pairing, ok := event.(session.PairingChanged)
	if !ok || !t.draw {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	round := pairing.Round
	switch {
	case round.State == session.PairingWaiting && (round.Round != t.round || round.CodeIndex != t.code):
		t.show(round)
	case round.State != session.PairingWaiting && t.code != 0:
		t.strike(round)
	}
}

// shown tells whether a code of a round has been drawn, or is not going to be.
func (t *Terminal) shown(round, code int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.draw || t.round > round || t.round == round && t.code >= code
}

// Colours that make a code readable on dark and light backgrounds alike: white on black, whatever the terminal's are.
const (
	whiteOnBlack = "\x1b[97;40m"
	plain        = "\x1b[0m"
)

// show draws a code, in place of the last one.
func (t *Terminal) show(round session.PairingRound) {
	var drawn bytes.Buffer
	qrterminal.GenerateWithConfig(round.Code, qrterminal.Config{
		Level: qrterminal.L, Writer: &drawn, HalfBlocks: true, QuietZone: 2,
		BlackChar: qrterminal.BLACK_BLACK, WhiteChar: qrterminal.WHITE_WHITE,
		BlackWhiteChar: qrterminal.BLACK_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK,
	})
	var page strings.Builder
	page.WriteString("\n")
	for line := range strings.SplitSeq(strings.TrimRight(drawn.String(), "\n"), "\n") {
		if t.tty {
			line = whiteOnBlack + line + plain
		}
		page.WriteString(line + "\n")
	}
	fmt.Fprintf(&page, "Scan this on the phone: WhatsApp, Linked devices, Link a device.\nCode %d of %d, until %s.\n\n",
		round.CodeIndex, round.CodeCount, round.ExpiresAt.Local().Format(time.TimeOnly))
	t.erase()
	fmt.Fprint(t.out, page.String())
	t.round, t.code, t.lines = round.Round, round.CodeIndex, strings.Count(page.String(), "\n")
}

// erase clears the code on show, where that is possible.
func (t *Terminal) erase() {
	if t.tty && t.lines > 0 {
		fmt.Fprintf(t.out, "\x1b[%dA\x1b[J", t.lines)
	}
	t.lines = 0
}

// strike takes a code that is of no use any more off the screen, or says that it is void.
func (t *Terminal) strike(round session.PairingRound) {
	t.erase()
	t.code = 0
	line := map[session.PairingState]string{
		session.PairingConfirm: "The code was scanned.",
		session.PairingPaired:  "The code was scanned.",
		session.PairingExpired: "The code above is void: nobody scanned it in time.",
	}[round.State]
	if line == "" {
		line = "The code above is void: " + strings.TrimSpace(round.Detail+" ("+round.Reason+")") + "."
	}
	if t.tty {
		line = strings.Replace(line, "The code above", "The code", 1)
	}
	fmt.Fprintln(t.out, line)
}
