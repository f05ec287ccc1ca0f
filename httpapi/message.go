package httpapi

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// messageMost is the longest message, in characters.
const messageMost = 65536

// checkMessage refuses what cannot be delivered byte for byte.
func checkMessage(text string) error {
	switch {
	case !utf8.ValidString(text):
		return errors.New("the message is not valid UTF-8; percent-escape its UTF-8 bytes")
	case strings.ContainsRune(text, 0):
		return errors.New("the message holds a NUL character; leave it out")
	case strings.TrimSpace(text) == "":
		return errors.New("the message is empty; write at least one visible character")
	case utf8.RuneCountInString(text) > messageMost:
		return errors.New("the message is longer than 65536 characters (262144 bytes); split it")
	}
	return nil
}
