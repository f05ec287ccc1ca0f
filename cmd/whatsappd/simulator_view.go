package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"whatsappd/simulator"
)

// chatView shows both sides of every chat of a simulator as it happens: on a terminal with colours and names, else as plain
// lines with numbers and IDs.
type chatView struct {
	sim    *simulator.Server
	out    io.Writer
	colour bool
}

// run shows events until the context ends.
func (v *chatView) run(ctx context.Context) error {
	last := 0
	for {
		events, err := v.sim.WaitEvents(ctx, last)
		if err != nil {
			return nil // the simulator stops
		}
		for _, event := range events {
			last = event.Seq
			if line := v.line(event); line != "" {
				fmt.Fprintln(v.out, line)
			}
		}
	}
}

func (v *chatView) line(e simulator.Event) string {
	if !v.colour {
		return plainLine(e)
	}
	if text := v.happened(e); text != "" {
		return dim(e.At.Local().Format(time.TimeOnly)) + "  " + text
	}
	return ""
}

// plainLine is an event as key and value, every text quoted.
func plainLine(e simulator.Event) string {
	var line strings.Builder
	line.WriteString(e.At.UTC().Format(time.RFC3339) + " " + e.What)
	for _, field := range []struct{ name, value string }{
		{"from", e.From}, {"to", e.To}, {"kind", e.Kind}, {"id", e.ID},
	} {
		if field.value != "" {
			line.WriteString(" " + field.name + "=" + strings.ReplaceAll(printable(field.value), " ", ":"))
		}
	}
	if e.Device != 0 {
		fmt.Fprintf(&line, " device=%d", e.Device)
	}
	if e.Text != "" {
		fmt.Fprintf(&line, " text=%q", e.Text)
	}
	return line.String()
}

// happened says an event in words, "" for one that would only distract.
func (v *chatView) happened(e simulator.Event) string {
	switch e.What {
	case "message":
		return v.chat(e.From, e.To) + printable(e.Text)
	case "receipt": // of the reader: shown in the direction of the message
		return v.chat(e.To, e.From) + tick(e.Kind)
	case "typing":
		if e.Kind == "composing" {
			return v.chat(e.From, e.To) + dim("is typing …")
		}
		return ""
	case "fault":
		return yellow("⚡ " + printable(e.Kind) + " " + v.name(e.From))
	case "presence":
		return dim(fmt.Sprintf("● client %d of %s is %s", e.Device, v.name(e.From), printable(e.Kind)))
	}
	happened := map[string]string{"paired": "paired", "login": "is online", "gone": "is offline", "removed": "was removed"}[e.What]
	if happened == "" {
		return ""
	}
	return fmt.Sprintf("● client %d of %s %s", e.Device, v.name(e.From), happened)
}

// chat names who writes to whom, in a column.
func (v *chatView) chat(from, to string) string {
	who := v.name(from) + " → " + v.name(to)
	return bold(who) + strings.Repeat(" ", max(2, 24-len([]rune(who))))
}

// name is what an account calls itself, else its number.
func (v *chatView) name(number string) string {
	if account, err := v.sim.Account(number); err == nil && account.Name != "" {
		return printable(account.Name)
	}
	if number == "" {
		return "somebody"
	}
	return "+" + number
}

// tick shows a receipt as apps do.
func tick(kind string) string {
	switch kind {
	case "delivered":
		return dim("✓✓ delivered")
	case "read":
		return blue("✓✓ read")
	case "retry":
		return yellow("↻ could not be opened, asked for again")
	default:
		return dim(printable(kind))
	}
}

// printable is a text on one line, with nothing in it that a terminal would obey.
func printable(text string) string {
	return strings.Map(func(char rune) rune {
		switch {
		case char == '\n' || char == '\t':
			return ' '
		case !unicode.IsPrint(char):
			return -1
		default:
			return char
		}
	}, text)
}

func bold(text string) string   { return "\x1b[1m" + text + "\x1b[0m" }
func dim(text string) string    { return "\x1b[2m" + text + "\x1b[0m" }
func blue(text string) string   { return "\x1b[34m" + text + "\x1b[0m" }
func yellow(text string) string { return "\x1b[33m" + text + "\x1b[0m" }
