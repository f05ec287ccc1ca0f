package simulator

import (
	"fmt"
	"net/http"
)

// servePage is the web client's page, as far as clients read it: the revision of the newest client.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	if s.opts.LiveVersion == 0 {
		http.NotFound(w, r)
		return
	}
	_, _ = fmt.Fprintf(w, "<html><script>{\"client_revision\":%d,\"server_revision\":1}</script></html>", s.opts.LiveVersion) // the client may be gone
}
