package simulator

import "net/http"

func (c *Control) accounts(*http.Request) ([]AccountInfo, error) { return c.Server.Accounts(), nil }

func (c *Control) account(r *http.Request) (AccountInfo, error) { return c.Server.Account(number(r)) }

func (c *Control) addAccount(_ *http.Request, in AccountSpec) (AccountInfo, error) {
	if err := c.Server.AddAccount(in); err != nil {
		return AccountInfo{}, err
	}
	return c.Server.Account(in.Number)
}

// rangeRequest asks for accounts by the hundred.
type rangeRequest struct {
	// Like describes the accounts; its number is the beginning of theirs.
	Like AccountSpec `json:"like"`
	// Count is how many. A counter from 0, with as many digits as the highest needs, follows the number.
	Count int `json:"count"`
}

// addedRange names the accounts.
type addedRange struct {
	Numbers []string `json:"numbers"`
}

func (c *Control) addAccounts(_ *http.Request, in rangeRequest) (addedRange, error) {
	numbers, err := c.Server.AddAccounts(in.Like, in.Count)
	return addedRange{numbers}, err
}

func (c *Control) setBehaviour(r *http.Request, in Behaviour) (done, error) {
	return ok(c.Server.SetBehaviour(number(r), in))
}

func (c *Control) setLimits(r *http.Request, in Limits) (done, error) {
	return ok(c.Server.SetLimits(number(r), in))
}

// awayRequest says whether virtual devices have no network.
type awayRequest struct {
	Away bool `json:"away"`
}

func (c *Control) setAway(r *http.Request, in awayRequest) (done, error) {
	return ok(c.Server.SetAway(number(r), in.Away))
}

func (c *Control) changePhone(r *http.Request) (done, error) {
	return ok(c.Server.ChangePhone(number(r)))
}

func (c *Control) changeLID(r *http.Request) (AccountInfo, error) {
	if err := c.Server.ChangeLID(number(r)); err != nil {
		return AccountInfo{}, err
	}
	return c.Server.Account(number(r))
}

// identitiesRequest says by which addresses clients know an account.
type identitiesRequest struct {
	// Identities is "number", "lid" or empty for both.
	Identities string `json:"identities"`
}

func (c *Control) setIdentities(r *http.Request, in identitiesRequest) (done, error) {
	return ok(c.Server.SetIdentities(number(r), in.Identities))
}

// preKeysRequest says how many one-time keys an account has left.
type preKeysRequest struct {
	// Left is for each client linked to the account, which is told when they are few, and for its virtual devices together;
	// a negative number gives these as many as anybody wants.
	Left int `json:"left"`
}

func (c *Control) setPreKeys(r *http.Request, in preKeysRequest) (done, error) {
	return ok(c.Server.SetPreKeys(number(r), in.Left))
}

func (c *Control) refreshDevices(r *http.Request) (done, error) {
	return ok(c.Server.RefreshDevices(number(r)))
}

func (c *Control) addCompanion(r *http.Request) (AccountInfo, error) {
	if err := c.Server.AddCompanion(number(r)); err != nil {
		return AccountInfo{}, err
	}
	return c.Server.Account(number(r))
}

func (c *Control) removeCompanion(r *http.Request) (done, error) {
	device, err := deviceID(r)
	if err != nil {
		return done{}, err
	}
	return ok(c.Server.RemoveCompanion(number(r), device))
}

func (c *Control) removeDevice(r *http.Request) (done, error) {
	device, err := deviceID(r)
	if err != nil {
		return done{}, err
	}
	return ok(c.Server.RemoveDevice(number(r), device))
}
