package simulator

import "reflect"

// ControlCall is a row of the control API's table, for tests.
type ControlCall struct {
	Route, Summary    string
	Params            []ControlParam
	Request, Response reflect.Type
}

// ControlParam is a query parameter of a call.
type ControlParam struct{ Name, Kind, Means string }

// ControlCalls returns the control API's table.
func ControlCalls() []ControlCall {
	var rows []ControlCall
	for _, c := range (&Control{}).calls() {
		row := ControlCall{Route: c.route, Summary: c.summary, Request: c.request, Response: c.response}
		for _, p := range c.params {
			row.Params = append(row.Params, ControlParam{Name: p.name, Kind: p.kind, Means: p.means})
		}
		rows = append(rows, row)
	}
	return rows
}

// ControlErrorType is the shape of an answer that is not 200.
func ControlErrorType() reflect.Type { return reflect.TypeFor[controlError]() }
