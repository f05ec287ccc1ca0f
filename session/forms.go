package session

import "strings"

// Forms returns the ways in which a number may be written on WhatsApp, the given one first. Three countries changed how
// mobile numbers are written, and accounts are found under the form in which they were registered; which of them it is
// only WhatsApp knows:
//   - Brazil (55): two digits of area, then eight digits, to which mobiles got a leading 9;
//   - Mexico (52): ten digits, for mobiles once with a 1 in front;
//   - Argentina (54): ten digits, for mobiles abroad with a 9 in front.
func Forms(number Number) []Number {
	n := string(number)
	other := ""
	switch country, rest := n[:min(2, len(n))], n[min(2, len(n)):]; {
	case country == "55" && len(rest) == 11 && rest[2] == '9':
		other = country + rest[:2] + rest[3:]
	case country == "55" && len(rest) == 10 && rest[2] >= '6':
		other = country + rest[:2] + "9" + rest[2:]
	case country == "52" && len(rest) == 11 && rest[0] == '1', country == "54" && len(rest) == 11 && rest[0] == '9':
		other = country + rest[1:]
	case country == "52" && len(rest) == 10:
		other = country + "1" + rest
	case country == "54" && len(rest) == 10 && !strings.HasPrefix(rest, "9"):
		other = country + "9" + rest
	}
	if other == "" {
		return []Number{number}
	}
	return []Number{number, Number(other)}
}

// best chooses among the answers about a number's forms, which come in the order of Forms. An account that is named as it
// was asked for is the one that exists; WhatsApp may also answer a form that nobody can write to any more. Without all
// answers nobody can say that there is no account.
func best(number Number, answers []Checked) Checked {
	result := Checked{Number: number, Verdict: NotRegistered}
	for _, answer := range answers {
		result.At = answer.At
		switch {
		case answer.Verdict == Registered && (result.Verdict != Registered || answer.Canonical == answer.Number && result.Canonical != number):
			result = answer
		case answer.Verdict == Unknown && result.Verdict == NotRegistered:
			result.Verdict = Unknown
		}
	}
	result.Number = number
	return result
}
