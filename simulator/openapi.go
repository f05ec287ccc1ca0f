package simulator

import (
	_ "embed"
	"encoding/json"
	"net/http"
)

// openAPIDocument describes the control API. A test makes it from the table of calls and the comments of the types.
//
//go:embed openapi.json
var openAPIDocument []byte

func openAPI(*http.Request) (json.RawMessage, error) { return openAPIDocument, nil }
