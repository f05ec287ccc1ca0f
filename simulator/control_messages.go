package simulator

import "net/http"

// inbox answers with an account's inbox, at once or as soon as it holds so many entries.
func (c *Control) inbox(r *http.Request) ([]Entry, error) {
	if _, err := c.Server.Account(number(r)); err != nil {
		return nil, err
	}
	atLeast, err := countOf(r, "min")
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := waitContext(r)
	if err != nil {
		return nil, err
	}
	defer cancel()
	// Too few in time is an answer as well: the caller counts.
	_ = c.Server.WaitInbox(ctx, number(r), func(entries []Entry) bool { return len(entries) >= atLeast })
	return append([]Entry{}, c.Server.Inbox(number(r))...), nil
}

// receivedFile is a file of an inbox with its content, in base64.
type receivedFile struct {
	File File   `json:"file"`
	Data []byte `json:"data"`
}

func (c *Control) content(r *http.Request) (receivedFile, error) {
	file, data, err := c.Server.Content(number(r), r.PathValue("id"))
	return receivedFile{file, data}, err
}

// written names a message.
type written struct {
	ID string `json:"id"`
}

func (c *Control) write(r *http.Request, in Message) (written, error) {
	id, err := c.Server.Send(r.Context(), number(r), in)
	return written{id}, err
}

func (c *Control) forgetSessions(r *http.Request) (done, error) {
	if _, err := c.Server.Account(number(r)); err != nil {
		return done{}, err
	}
	c.Server.ForgetSessions(number(r))
	return ok(nil)
}

// tokenRequest names who gets a privacy token.
type tokenRequest struct {
	To string `json:"to"`
}

// givenToken is the token, in base64.
type givenToken struct {
	Token []byte `json:"token"`
}

func (c *Control) giveToken(r *http.Request, in tokenRequest) (givenToken, error) {
	token, err := c.Server.GiveToken(number(r), in.To)
	return givenToken{token}, err
}

// onlineRequest says whether a phone is being used.
type onlineRequest struct {
	Online bool `json:"online"`
}

func (c *Control) setOnline(r *http.Request, in onlineRequest) (done, error) {
	return ok(c.Server.SetOnline(number(r), in.Online))
}

// typingRequest says to whom an account types, or has stopped typing.
type typingRequest struct {
	To     string `json:"to"`
	Typing bool   `json:"typing"`
}

func (c *Control) setTyping(r *http.Request, in typingRequest) (done, error) {
	return ok(c.Server.Type(number(r), in.To, in.Typing))
}
