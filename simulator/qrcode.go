package simulator

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// pairingCode is what a phone reads from a client's screen.
type pairingCode struct {
	ref        string
	noise      [32]byte
	identity   [32]byte
	secret     [32]byte
	clientType string // "" from older clients
}

// parsePairingCode reads the text of a code: ref, noise key, identity key, secret and client type between commas, bare or
// behind the # of a link, as newer clients show it. Older clients leave the type out. Source: makeQRData of whatsmeow.
func parsePairingCode(code string) (pairingCode, error) {
	if strings.HasPrefix(code, "http") {
		_, fragment, found := strings.Cut(code, "#")
		if !found {
			return pairingCode{}, errors.New("link without a code")
		}
		code = fragment
	}
	fields := strings.Split(code, ",")
	if len(fields) != 4 && len(fields) != 5 {
		return pairingCode{}, fmt.Errorf("code of %d fields", len(fields))
	}
	if fields[0] == "" {
		return pairingCode{}, errors.New("code without ref")
	}
	parsed := pairingCode{ref: fields[0]}
	for i, key := range []*[32]byte{&parsed.noise, &parsed.identity, &parsed.secret} {
		raw, err := base64.StdEncoding.Strict().DecodeString(fields[i+1])
		if err != nil || len(raw) != len(key) {
			return pairingCode{}, fmt.Errorf("field %d of the code is not a key", i+2)
		}
		*key = [32]byte(raw)
	}
	if len(fields) == 5 {
		parsed.clientType = fields[4]
	}
	return parsed, nil
}
