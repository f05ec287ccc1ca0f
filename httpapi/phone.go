package httpapi

import (
	"errors"
	"strings"

	"whatsappd/session"
)

// The shortest and longest international number, in digits.
const (
	phoneLeast = 7
	phoneMost  = 15
)

// parsePhone reads an international number: ASCII digits, optionally led by a plus. Spaces, dots, dashes and round brackets
// after the first digit are dropped, and an opening bracket before it. No rule of any country is applied: such rules are
// wrong about some real accounts.
func parsePhone(text string) (session.Number, error) {
	const hint = "write an international number such as +4915112345678"
	rest := strings.TrimPrefix(text, "+")
	rest = strings.TrimPrefix(rest, "(")
	var digits strings.Builder
	for _, char := range rest {
		switch {
		case char >= '0' && char <= '9':
			digits.WriteRune(char)
		case digits.Len() > 0 && strings.ContainsRune(" .-()", char):
		default:
			return "", errors.New("the phone number holds something else than digits; " + hint)
		}
	}
	number := digits.String()
	switch {
	case number == "":
		return "", errors.New("the phone number is missing; " + hint)
	case number[0] == '0':
		return "", errors.New("the phone number begins with 0; " + hint + ", with the country code and without 00")
	case len(number) < phoneLeast || len(number) > phoneMost:
		return "", errors.New("the phone number must have 7 to 15 digits; " + hint)
	}
	return session.Number(number), nil
}
