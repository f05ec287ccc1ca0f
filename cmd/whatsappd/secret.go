package main

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"strings"
)

// Secret is a setting that no output of the program shows. The value is read by converting it to a string, which has to be
// done on purpose.
type Secret string

// hidden is what stands in place of a secret that is set.
const hidden = "[set]"

// String implements fmt.Stringer.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString implements fmt.GoStringer, for %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// MarshalYAML implements yaml.Marshaler.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// list splits a secret of several values at its commas. Blanks around a value are not part of it.
func (s Secret) list() []string {
	var values []string
	for value := range strings.SplitSeq(string(s), ",") {
		if value = strings.TrimSpace(value); value != "" {
			values = append(values, value)
		}
	}
	return values
}

// newToken returns a new token for callers: 256 random bits behind a prefix that secret scanners can be taught.
func newToken() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return "wad_" + base64.RawURLEncoding.EncodeToString(random[:])
}
