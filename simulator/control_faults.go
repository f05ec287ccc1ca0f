package simulator

import (
	"fmt"
	"net/http"
	"strconv"
)

func (c *Control) faults(*http.Request) ([]Fault, error) { return c.Server.Faults(), nil }

func (c *Control) addFaults(_ *http.Request, in []Fault) ([]Fault, error) {
	if len(in) == 0 {
		return nil, fmt.Errorf("the body must be a list of faults, such as [{\"at\":\"message\",\"do\":\"delay\",\"delay\":\"1s\"}]")
	}
	return c.Server.AddFaults(in...)
}

func (c *Control) clearFaults(*http.Request) (done, error) {
	c.Server.RemoveFaults()
	return ok(nil)
}

func (c *Control) removeFault(r *http.Request) (done, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return done{}, fmt.Errorf("id: %w", err)
	}
	c.Server.RemoveFaults(id)
	return ok(nil)
}
