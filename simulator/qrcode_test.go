package simulator

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPairingCodeIsRead(t *testing.T) {
	t.Parallel()
	key := func(b byte) string { return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), 32))) }
	bare := strings.Join([]string{"2@ref", key('n'), key('i'), key('s')}, ",")
	for name, code := range map[string]string{
		"bare without type": bare,
		"bare with type":    bare + ",1",
		"link":              "https://wa.me/settings/linked_devices#" + bare + ",1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parsed, err := parsePairingCode(code)
			require.NoError(t, err)
			require.Equal(t, "2@ref", parsed.ref)
			require.EqualValues(t, 'n', parsed.noise[0])
			require.EqualValues(t, 'i', parsed.identity[31])
			require.EqualValues(t, 's', parsed.secret[7])
		})
	}
	for name, code := range map[string]string{
		"nothing":               "",
		"link without code":     "https://wa.me/settings/linked_devices",
		"too few fields":        "2@ref," + key('n') + "," + key('i'),
		"too many fields":       bare + ",1,2",
		"no ref":                bare[len("2@ref"):],
		"key that is too short": "2@ref,AAAA," + key('i') + "," + key('s'),
		"key that is no base64": "2@ref,****," + key('i') + "," + key('s'),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parsePairingCode(code)
			require.Error(t, err)
		})
	}
}

func FuzzParsePairingCode(f *testing.F) {
	f.Add("https://wa.me/settings/linked_devices#2@r,,,,1")
	f.Add("2@r," + strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+",", 3) + "1")
	f.Fuzz(func(t *testing.T, code string) {
		parsed, err := parsePairingCode(code)
		if err == nil && (parsed.ref == "" || strings.Contains(parsed.ref, ",")) {
			t.Errorf("ref %q", parsed.ref)
		}
	})
}
