package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
)

// heldIdentities is an identity store that says what a test wants.
type heldIdentities struct {
	store.IdentityStore
	trusted bool
	err     error
}

func (s heldIdentities) IsTrustedIdentity(context.Context, string, [32]byte) (bool, error) {
	return s.trusted, s.err
}

func (s heldIdentities) PutIdentity(context.Context, string, [32]byte) error { return s.err }

func TestAStepWithASessionIsAloneUntilItEnds(t *testing.T) {
	t.Parallel()
	const bea, cem = "1_1:0", "2_1:0"
	failed := errors.New("disk full")
	for name, c := range map[string]struct {
		identities heldIdentities
		end        func(ctx context.Context, device *store.Device)
		late       bool // only patience ends it
	}{
		"by its save": {end: func(ctx context.Context, device *store.Device) {
			require.NoError(t, device.Sessions.PutSession(ctx, bea, nil))
		}},
		"by a key that is not trusted": {end: func(ctx context.Context, device *store.Device) {
			_, err := device.Identities.IsTrustedIdentity(ctx, bea, [32]byte{})
			require.NoError(t, err)
		}},
		"by a key that cannot be kept": {identities: heldIdentities{err: failed}, end: func(ctx context.Context, device *store.Device) {
			require.Error(t, device.Identities.PutIdentity(ctx, bea, [32]byte{}))
		}},
		"not by a trusted key": {identities: heldIdentities{trusted: true}, late: true, end: func(ctx context.Context, device *store.Device) {
			_, err := device.Identities.IsTrustedIdentity(ctx, bea, [32]byte{})
			require.NoError(t, err)
			require.NoError(t, device.Identities.PutIdentity(ctx, bea, [32]byte{}))
		}},
		"not by another's": {late: true, end: func(ctx context.Context, device *store.Device) {
			_, err := device.Identities.IsTrustedIdentity(ctx, cem, [32]byte{})
			require.NoError(t, err)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				db := &heldSessions{held: map[string][]byte{}}
				device := &store.Device{Sessions: db, EventBuffer: db, Identities: c.identities}
				(&guard{now: time.Now}).install(device)
				_, err := device.Sessions.GetSession(t.Context(), bea)
				require.NoError(t, err)
				others := make(chan string, 3)
				go func() {
					_ = device.EventBuffer.DoDecryptionTxn(t.Context(), func(ctx context.Context) error {
						_, err := device.Sessions.GetSession(ctx, bea) // its own transaction is no other step
						others <- "decrypted"
						return err
					})
				}()
				synctest.Wait()
				require.Empty(t, others, "the step has not ended")
				began := time.Now()
				c.end(t.Context(), device)
				require.Equal(t, "decrypted", <-others)
				if c.late {
					require.Equal(t, turnPatience, time.Since(began))
				} else {
					require.Zero(t, time.Since(began))
				}
			})
		})
	}
}

func TestASendDoesNotSaveWithinAnothersStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const bea = "1_1:0"
		db := &heldSessions{held: map[string][]byte{}}
		device := &store.Device{Sessions: db, EventBuffer: db}
		(&guard{now: time.Now}).install(device)
		_, err := device.Sessions.GetSession(t.Context(), bea) // an answer to a retry receipt begins
		require.NoError(t, err)
		_, err = device.Sessions.GetManySessions(t.Context(), []string{bea}) // and a send
		require.NoError(t, err)
		saved := make(chan error, 1)
		go func() { saved <- device.Sessions.PutManySessions(t.Context(), map[string][]byte{bea: []byte("sent")}) }()
		synctest.Wait()
		require.Empty(t, saved)
		require.NoError(t, device.Sessions.PutSession(t.Context(), bea, []byte("answered")))
		require.ErrorIs(t, <-saved, errSessionMoved)
		require.Equal(t, "answered", string(db.held[bea]))
	})
}
