package simulator

import "go.mau.fi/whatsmeow/types"

// Groups are not simulated: this file is their place. What belongs here are group accounts with their participants, the
// w:g2 requests and notifications about them, sender keys (skmsg) and receipts by participant. Until then a message to a
// group is refused and counted by name, so that no test takes silence for success.

// refuseGroup refuses a message to a group.
func (s *Server) refuseGroup(to types.JID) error {
	if to.Server != types.GroupServer {
		return nil
	}
	s.unhandled("message to a group")
	return errRefused(errItemNotFound)
}
