package session

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"sync"

	waLog "go.mau.fi/whatsmeow/util/log"
)

// libraryLog writes the protocol library's log into ours, with numbers masked, and counts its lines by level. What it calls
// information is of no use to an operator and goes to the debug level.
type libraryLog struct {
	log    *slog.Logger
	counts *logCounts
}

var _ waLog.Logger = libraryLog{}

// logCounts counts lines by level.
type logCounts struct {
	mu    sync.Mutex
	lines map[string]int
}

func newLogCounts() *logCounts {
	return &logCounts{lines: map[string]int{"debug": 0, "info": 0, "warn": 0, "error": 0}}
}

func (c *logCounts) add(level string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines[level]++
}

func (c *logCounts) snapshot() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.lines)
}

// Errorf implements waLog.Logger.
func (l libraryLog) Errorf(format string, args ...any) {
	l.line("error", slog.LevelError, format, args)
}

// Warnf implements waLog.Logger.
func (l libraryLog) Warnf(format string, args ...any) { l.line("warn", slog.LevelWarn, format, args) }

// Infof implements waLog.Logger.
func (l libraryLog) Infof(format string, args ...any) { l.line("info", slog.LevelDebug, format, args) }

// Debugf implements waLog.Logger.
func (l libraryLog) Debugf(format string, args ...any) {
	l.line("debug", slog.LevelDebug, format, args)
}

// Sub implements waLog.Logger.
func (l libraryLog) Sub(module string) waLog.Logger {
	return libraryLog{log: l.log.With("module", module), counts: l.counts}
}

func (l libraryLog) line(level string, as slog.Level, format string, args []any) {
	l.counts.add(level)
	ctx := context.Background() // the library brings none
	if l.log.Enabled(ctx, as) {
		l.log.Log(ctx, as, "protocol library", "says", redact(fmt.Sprintf(format, args...)))
	}
}

// longDigits are telephone numbers, LIDs and the like.
var longDigits = regexp.MustCompile(`\d{4,}(\d{3})`)

// keyLike are keys and codes in base64.
var keyLike = regexp.MustCompile(`[A-Za-z0-9+/]{43}=`)

// redact masks all but the last three digits of numbers, and keys.
func redact(text string) string {
	return longDigits.ReplaceAllString(keyLike.ReplaceAllString(text, "[key]"), "…$1")
}
