package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func TestPhoneNumbersAreMasked(t *testing.T) {
	t.Parallel()
	mask := newMasker()
	for text, wants := range map[string]string{
		"4917612345678":                   "***678",
		"+4917612345678":                  "+***678",
		"to 4917612345678, please":        "to ***678, please",
		"4917612345678 4917612345679":     "***678 ***679",
		"4917612345678@s.whatsapp.net":    "***678@s.whatsapp.net",
		"4917612345678:12@s.whatsapp.net": "***678:12@s.whatsapp.net",
		"(1234567)":                       "(***567)",
		"sent to 4917612345678.":          "sent to ***678.",

		"token=wad_0123456789abcdefghij":   "token=[set]",
		"Bearer xoxb-1234567890-abcdefg":   "Bearer [set]",
		"whsec_MDEyMzQ1Njc4OTAxMjM0NTY3OA": "[set]",

		"123456":                               "123456",
		"127.0.0.1:8080":                       "127.0.0.1:8080",
		"0199f8e0-1234-7abc-8def-123456789012": "0199f8e0-1234-7abc-8def-123456789012",
		"3EB0123456789":                        "3EB0123456789",
		"deadbeef12345678":                     "deadbeef12345678",
		"2026-01-02T03:04:05.123456789Z":       "2026-01-02T03:04:05.123456789Z",
		"v0.0.0-20260821141805-33cfac511629":   "v0.0.0-20260821141805-33cfac511629",
		"10m0.123456789s":                      "10m0.123456789s",
		"":                                     "",
	} {
		require.Equal(t, wants, mask.text(text))
	}
}

func TestLogsHoldNoPhoneNumber(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"auto", "json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := newLogger(Config{Log: logConfig{Level: "info", Format: format}}, &out, false)
			log.Info("sent to 4917612345678", "to", "4917612345678", "error", errors.New("no 4917612345678"),
				slog.Group("inner", "jid", "4917612345678@s.whatsapp.net"), "id", "1234567890", "address", "127.0.0.1:8080", "bytes", 12345678)
			log.Debug("not shown")
			require.NotContains(t, out.String(), "4917612345678")
			require.NotContains(t, out.String(), "not shown")
			require.Contains(t, out.String(), "***678@s.whatsapp.net")
			require.Contains(t, out.String(), "1234567890")
			require.Contains(t, out.String(), "127.0.0.1:8080")
			require.Equal(t, format != "text", json.Valid(out.Bytes()), out.String())
		})
	}
}

// printer is a value that prints itself.
type printer string

func (p printer) String() string { return string(p) }

func TestARecordIsOneLineThatNoTerminalObeys(t *testing.T) {
	t.Parallel()
	hostile := []string{
		"a\nb", "a\r\nb", "a\rb", "\n", "a\u2028b", "a\u2029b", "a\u0085b", "a\vb\fc", "a\x00b", "a\x7fb", "a\bb",
		"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u009b31m", "a\u202eb", "a\u2066b", "\xff\xfe", `{"level":"ERROR"}` + "\n" + `{"time":"x"}`, "x\n00:00:00 ERR forged=1",
	}
	for _, format := range []string{"json", "text"} {
		for _, terminal := range []bool{false, true} {
			for _, text := range hostile {
				var out bytes.Buffer
				log := newLogger(Config{Log: logConfig{Level: "debug", Format: format}}, &out, terminal)
				log.With("before", text).WithGroup("group").Info("a record", "text", text, "error", errors.New(text), "printer", printer(text),
					"bytes", []byte(text), "list", []string{text}, "struct", struct{ A string }{text}, slog.Group("inner", "text", text))
				for _, key := range []string{"id", "message", "message_id", "address", "host", "version", "request_id"} {
					log.Info("a record", key, text)
				}
				lines := strings.SplitAfter(out.String(), "\n")
				require.Len(t, lines, 8+1, "%s: %q became %q", format, text, out.String())
				require.Empty(t, lines[8])
				shown := out.String()
				if format == "text" && terminal { // what colours the levels and keys is our own
					shown = regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllStringFunc(shown, func(code string) string {
						return map[bool]string{true: code, false: ""}[code == "\x1b[31m" && strings.Contains(text, code)]
					})
				}
				for _, char := range strings.ReplaceAll(shown, "\n", "") {
					require.False(t, unicode.IsControl(char) || unicode.Is(unicode.Bidi_Control, char) || char == '\u2028' || char == '\u2029',
						"%s, terminal %v: %q became %q", format, terminal, text, shown)
				}
				if format == "json" {
					for _, line := range lines[:8] {
						require.True(t, json.Valid([]byte(line)), line)
					}
				}
			}
		}
	}
}
