package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
)

// newLogger returns the logger of the settings. In format auto a terminal gets coloured text, everything else JSON.
func newLogger(cfg Config, w io.Writer, terminal bool) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // checked when the settings were read
	mask := newMasker()
	if cfg.Log.Format == "text" || cfg.Log.Format == "auto" && terminal {
		return slog.New(tint.NewHandler(w, &tint.Options{
			Level:       level,
			TimeFormat:  time.TimeOnly,
			NoColor:     !terminal,
			ReplaceAttr: mask.attr,
		}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: mask.attr}))
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// masker hides what got into a log all the same: phone numbers, for a number is a person, and secrets.
type masker struct {
	number, secret *regexp.Regexp
}

func newMasker() masker {
	return masker{
		secret: regexp.MustCompile(`\b(wad_|whsec_|xox[a-z]-)[0-9A-Za-z_+/=\-]{8,}`),
		// Seven digits or more on their own, as a number or the first half of a JID. Digits with letters, points or hyphens
		// around them belong to an identifier, an address or a time.
		number: regexp.MustCompile(`(^|[^0-9A-Za-z_.\-])(\+?)([0-9]{4,})([0-9]{3})([^0-9A-Za-z_\-]|$)`),
	}
}

// attr is a ReplaceAttr: it masks whatever is text or can be printed, except under the keys that are known to hold no phone
// number, and makes it plain under all.
func (m masker) attr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.SourceKey) {
		return a
	}
	shown := func(text string) string {
		if identifies(a.Key) {
			return plain(text)
		}
		return plain(m.text(text))
	}
	switch value := a.Value.Resolve(); value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(shown(value.String()))
	case slog.KindAny:
		switch printed := value.Any().(type) {
		case interface{ String() string }:
			a.Value = slog.StringValue(shown(printed.String()))
		default: // an error, or what the handler would print in its own way
			if text := fmt.Sprint(printed); shown(text) != text {
				a.Value = slog.StringValue(shown(text))
			}
		}
	}
	return a
}

// plain makes visible what a terminal or a reader of lines would obey: texts from others must neither begin a line nor colour
// one. Line breaks and tabs are left to the handlers, which quote them.
func plain(text string) string {
	obeyed := func(char rune) bool {
		switch char {
		case '\n', '\r', '\t':
			return false
		case '\u2028', '\u2029': // separators of lines and paragraphs
			return true
		}
		return unicode.IsControl(char) || unicode.Is(unicode.Bidi_Control, char)
	}
	if !strings.ContainsFunc(text, obeyed) {
		return text
	}
	var visible strings.Builder
	for _, char := range text {
		if obeyed(char) {
			fmt.Fprintf(&visible, `\u%04x`, char)
		} else {
			visible.WriteRune(char)
		}
	}
	return visible.String()
}

// identifies says that a key holds an identifier or an address, in which digits are no phone number.
func identifies(key string) bool {
	switch key {
	case "id", "task", "task_id", "callback", "callback_id", "message", "message_id", "request", "request_id", "address", "host", "version":
		return true
	}
	return false
}

// text masks secrets by the prefixes of their kinds, and every phone number but for its last three digits, which are enough
// to tell numbers apart.
func (m masker) text(text string) string {
	text = m.secret.ReplaceAllString(text, hidden)
	const replacement = "$1$2***$4$5"
	// Twice: neighbours share the character between them, which one pass takes for the first only.
	return m.number.ReplaceAllString(m.number.ReplaceAllString(text, replacement), replacement)
}
