package simulator

import (
	"fmt"
	"net/http"
)

// servePage is the web client's page, as far as clients read it: the revision of the newest client. Source: GetLatestVersion of
// whatsmeow.
func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	revision := s.web.Load()
	if revision == 0 {
		http.NotFound(w, r)
		return
	}
	_, _ = fmt.Fprintf(w, "<html><script>{\"client_revision\":%d,\"server_revision\":1}</script></html>", revision) // the client may be gone
}

// SetWebVersion changes the revision of WhatsApp's own web client that the page at / tells; 0 takes the page away. Clients look
// when they want to: whatsappd at its start and once a day. What they announce at a login is [DeviceInfo.Version].
func (s *Server) SetWebVersion(revision uint32) { s.web.Store(revision) }
