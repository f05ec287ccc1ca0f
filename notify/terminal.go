// Package notify shows operators what the account has to tell: pairing codes and the state of the connection, in the
// terminal and in a Slack channel. A code is a credential to the account, so none is left behind once it is of no use.
//
// It knows the session's events and how each place shows them. Nothing here can hold up a pairing.
package notify

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mdp/qrterminal/v3"
	"golang.org/x/sys/unix"

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

// Terminal draws pairing codes. On a terminal the live code stays below everything else: a new code replaces the old one in
// place, text goes above it by way of Above, and the place is cleared when the round ends. In a log, and on a terminal that
// is too small for it, each code is printed once and said to be void later.
type Terminal struct {
	out  io.Writer
	tty  bool
	draw bool

	mu    sync.Mutex
	round int
	code  int    // index of the code on show, 0 for none
	page  string // the code on show as it stands below everything else, empty when nothing can be replaced
}

// NewTerminal makes a terminal over an output; tty says whether the output is one.
func NewTerminal(out io.Writer, tty bool, mode Mode) *Terminal {
	return &Terminal{out: out, tty: tty, draw: mode == Always || mode == Auto && tty}
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
	case round.State == session.PairingWaiting && round.Code != "" && (round.Round != t.round || round.CodeIndex != t.code):
		t.show(round)
	case round.State != session.PairingWaiting && t.code != 0:
		t.strike(round)
	}
}

// Above returns a writer to the same screen for everything else, such as the log: the code on show makes room while it
// writes. Its writes must be whole lines. On what is no terminal it writes and does nothing more.
func (t *Terminal) Above(w io.Writer) io.Writer { return above{t, w} }

type above struct {
	terminal *Terminal
	w        io.Writer
}

// Write implements io.Writer. Writes of several goroutines do not mix.
func (a above) Write(p []byte) (int, error) {
	t := a.terminal
	t.mu.Lock()
	defer t.mu.Unlock()
	page := t.page
	t.erase()
	n, err := a.w.Write(p)
	if page != "" {
		t.place(page)
	}
	return n, err
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
	if t.code != 0 && t.page == "" {
		fmt.Fprintln(t.out, "The code above is void, the next one is below.")
	}
	t.erase()
	t.place(page.String())
	t.round, t.code = round.Round, round.CodeIndex
}

// place writes a page below everything else, and remembers it where it can be replaced.
func (t *Terminal) place(page string) {
	fmt.Fprint(t.out, page)
	if t.tty && fits(t.out, page) {
		t.page = page
	}
}

// erase clears the code on show, where that is possible.
func (t *Terminal) erase() {
	if t.page != "" {
		fmt.Fprintf(t.out, "\x1b[%dA\x1b[J", strings.Count(t.page, "\n"))
	}
	t.page = ""
}

// fits tells whether a page can be replaced later: what has scrolled off a screen, or was wrapped by it, cannot. An output
// that does not know its size is taken to be large enough.
func fits(out io.Writer, page string) bool {
	file, ok := out.(*os.File)
	if !ok {
		return true
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row == 0 || size.Col == 0 {
		return true
	}
	const widest = 68 // the line of text; the code's own lines are shorter
	return int(size.Row) > strings.Count(page, "\n") && int(size.Col) >= widest
}

// strike takes a code that is of no use any more off the screen, or says that it is void.
func (t *Terminal) strike(round session.PairingRound) {
	erased := t.page != ""
	t.erase()
	t.code = 0
	line := map[session.PairingState]string{
		session.PairingPasskey: "The code was scanned, and WhatsApp wants the account's passkey: \"whatsappd login\" in another terminal says how.",
		session.PairingConfirm: "The code was scanned.",
		session.PairingPaired:  "The code was scanned.",
		session.PairingExpired: "The code above is void: nobody scanned it in time.",
	}[round.State]
	if line == "" {
		line = "The code above is void: " + strings.TrimSpace(round.Detail+" ("+round.Reason+")") + "."
	}
	if erased {
		line = strings.Replace(line, "The code above", "The code", 1)
	}
	fmt.Fprintln(t.out, line)
}
