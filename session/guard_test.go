package session

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// heldSessions is a session store in memory. It is the transactions' keeper as well: they see what there is.
type heldSessions struct {
	store.SessionStore
	store.EventBuffer
	held  map[string][]byte
	sent  map[types.MessageID]string // and in which transaction
	inTxn string
	full  error
}

func (s *heldSessions) GetSession(_ context.Context, address string) ([]byte, error) {
	return s.held[address], nil
}

func (s *heldSessions) GetManySessions(_ context.Context, addresses []string) (map[string][]byte, error) {
	found := map[string][]byte{}
	for _, address := range addresses {
		found[address] = s.held[address]
	}
	return found, nil
}

func (s *heldSessions) PutSession(_ context.Context, address string, session []byte) error {
	s.held[address] = session
	return nil
}

func (s *heldSessions) PutManySessions(_ context.Context, sessions map[string][]byte) error {
	maps.Copy(s.held, sessions)
	return nil
}

func (s *heldSessions) DoDecryptionTxn(ctx context.Context, do func(context.Context) error) error {
	s.inTxn = "the sessions'"
	defer func() { s.inTxn = "" }()
	return do(ctx)
}

func (s *heldSessions) AddOutgoingEvent(_ context.Context, _ types.JID, id types.MessageID, _ string, _ []byte) error {
	if s.full == nil {
		s.sent[id] = s.inTxn
	}
	return s.full
}

func TestASentMessageIsWrittenWithItsSessions(t *testing.T) {
	t.Parallel()
	const bea = "1_1:0"
	to := types.NewJID("1", types.HiddenUserServer)
	db := &heldSessions{held: map[string][]byte{}, sent: map[types.MessageID]string{}}
	device := &store.Device{Sessions: db, EventBuffer: db}
	g := &guard{now: time.Now}
	g.install(device)
	send := func(id types.MessageID) error {
		g.watch(bea)
		require.NoError(t, device.EventBuffer.AddOutgoingEvent(t.Context(), to, id, "", []byte("text")))
		require.NotContains(t, db.sent, id, "nobody has it yet")
		_, err := device.Sessions.GetManySessions(t.Context(), []string{bea})
		require.NoError(t, err)
		return device.Sessions.PutManySessions(t.Context(), map[string][]byte{bea: []byte(id)})
	}
	require.NoError(t, send("one"))
	copied, err := g.verdict()
	require.NoError(t, err)
	require.NotZero(t, copied)
	require.Equal(t, map[types.MessageID]string{"one": "the sessions'"}, db.sent)

	db.full = errors.New("disk full")
	require.ErrorIs(t, send("two"), db.full, "what cannot be kept does not leave")
	copied, err = g.verdict()
	require.ErrorIs(t, err, db.full)
	require.Zero(t, copied)

	db.full = nil
	require.NoError(t, device.EventBuffer.AddOutgoingEvent(t.Context(), to, "three", "", []byte("text")), "of no send of ours")
	require.Equal(t, map[types.MessageID]string{"one": "the sessions'", "three": ""}, db.sent)
}

func TestASendTakesNoStepOfTheSessionBack(t *testing.T) {
	t.Parallel()
	const bea, own = "1_1:0", "2_1:0"
	for name, c := range map[string]struct {
		before map[string][]byte
		heard  string // whose message comes in while the send fetches keys
		moved  bool
	}{
		"nothing came in":                      {before: map[string][]byte{bea: []byte("1")}},
		"the recipient's first message":        {heard: bea, moved: true},
		"another message of the recipient":     {before: map[string][]byte{bea: []byte("1")}, heard: bea, moved: true},
		"a message of the own phone":           {before: map[string][]byte{bea: []byte("1"), own: []byte("1")}, heard: own, moved: true},
		"a message of somebody who is no part": {before: map[string][]byte{bea: []byte("1")}, heard: "3_1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := &heldSessions{held: maps.Clone(c.before)}
			if db.held == nil {
				db.held = map[string][]byte{}
			}
			device := &store.Device{Sessions: db, EventBuffer: db}
			(&guard{now: time.Now}).install(device)
			_, err := device.Sessions.GetManySessions(t.Context(), []string{bea, own})
			require.NoError(t, err)
			if c.heard != "" {
				require.NoError(t, db.PutSession(t.Context(), c.heard, []byte("heard")))
			}
			err = device.Sessions.PutManySessions(t.Context(), map[string][]byte{bea: []byte("sent"), own: []byte("sent")})
			if c.moved {
				require.ErrorIs(t, err, errSessionMoved)
				require.Equal(t, "heard", string(db.held[c.heard]))
				return
			}
			require.NoError(t, err)
			require.Equal(t, "sent", string(db.held[bea]))
		})
	}
}
