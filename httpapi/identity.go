package httpapi

import (
	"strings"

	"github.com/gin-gonic/gin"

	"whatsappd/session"
	"whatsappd/task"
)

// IdentityAnswer is who somebody is. What is not known is null, never left out.
type IdentityAnswer struct {
	ContactID *string `json:"contact_id"` // ours, whatever WhatsApp's addresses become; null for nobody
	Phone     *string `json:"phone"`      // with a plus (E.164), as WhatsApp writes it once it was asked
	LID       *string `json:"lid"`        // such as 123456789012345@lid
}

func identityAnswer(who task.Identity) IdentityAnswer {
	answer := IdentityAnswer{ContactID: known(who.ID), LID: known(who.LID)}
	if who.Phone != "" {
		answer.Phone = known("+" + who.Phone)
	}
	return answer
}

// known is a text, or nil for an empty one.
func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// The values of addressed_as.
const (
	byPhone = "phone"
	byLID   = "lid"
)

// addressedAs tells what WhatsApp was given for a task: messages go to a LID once one was found, checks ask for a number.
func addressedAs(t task.Task) *string {
	switch {
	case t.Kind == task.Message && t.LID != "":
		return known(byLID)
	case t.Kind == task.Message, t.Kind == task.Check:
		return known(byPhone)
	}
	return nil
}

// lidMost is how many digits a LID may have: it is a number of 64 bits.
const lidMost = 20

// isLID tells whether a text is a LID as answers give it.
func isLID(text string) bool {
	digits, ok := strings.CutSuffix(text, "@lid")
	if !ok || digits == "" || len(digits) > lidMost || digits[0] == '0' {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

// addresses reads the person that a request is about: a number, in the forms under which WhatsApp may know it, a LID or a
// contact's ID. number is empty for the other two.
func addresses(c *gin.Context) (number session.Number, all []string, err error) {
	text := unescaped(c, "who")
	if isLID(text) || strings.HasPrefix(text, "c_") {
		return "", []string{text}, nil
	}
	if number, err = parsePhone(text); err != nil {
		return "", nil, invalid(err)
	}
	for _, form := range session.Forms(number) {
		all = append(all, string(form))
	}
	return number, all, nil
}
