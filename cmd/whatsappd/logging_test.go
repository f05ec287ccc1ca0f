package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"

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
