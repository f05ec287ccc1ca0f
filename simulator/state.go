package simulator

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/util/keys"
)

// load makes the authority and reads the state file.
func (s *Server) load() error {
	root := keys.NewKeyPair()
	if s.opts.RootPrivate != "" {
		var err error
		if root, err = parsePrivateKey(s.opts.RootPrivate); err != nil {
			return err
		}
	}
	var err error
	s.authority, err = newAuthority(root, time.Now())
	return err
}

func (s *Server) save() error { return nil }

// changed marks the state as changed; it is written soon. It may be called under any lock.
func (s *Server) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

func (s *Server) saveChanges() { <-s.ctx.Done() }

var _ context.Context
