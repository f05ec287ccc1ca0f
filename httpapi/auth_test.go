package httpapi

import (
	"strings"
	"testing"
)

// BenchmarkTokens is to show the same time for all tokens of a length, whatever they have in common with the right one.
func BenchmarkTokens(b *testing.B) {
	const right = "right-token-of-at-least-twenty-characters"
	known := hashTokens([]string{"another-token-of-some-length", right})
	for _, c := range []struct {
		name, shown string
		ok          bool
	}{
		{"right", right, true},
		{"the last letter is wrong", right[:len(right)-1] + "x", false},
		{"the first letter is wrong", "x" + right[1:], false},
		{"other case", strings.ToUpper(right), false},
		{"nothing in common", strings.Repeat("x", len(right)), false},
		{"empty", "", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, ok := known.match(c.shown); ok != c.ok {
					b.Fatal(ok)
				}
			}
		})
	}
}
