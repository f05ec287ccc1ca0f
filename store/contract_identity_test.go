package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/task"
)

const (
	herNumber  = "15550100101"
	herLID     = "100000000000101@lid"
	hisNumber  = "15550100102"
	anotherLID = "100000000000102@lid"
)

// contact returns what is known of the person behind an address.
func (s *scene) contact(address string) task.Contact {
	s.t.Helper()
	known, err := s.people.Contact(s.t.Context(), account, address)
	require.NoError(s.t, err)
	return known
}

// hears lets somebody write.
func (s *scene) hears(from task.Address) {
	s.t.Helper()
	require.NoError(s.t, s.tasks.Heard(s.t.Context(), account, from, s.now, s.now))
}

// learns keeps WhatsApp's answer about a number.
func (s *scene) learns(asked, canonical, lid string) {
	s.t.Helper()
	require.NoError(s.t, s.accounts.KeepChecked(s.t.Context(), session.DefaultAccount, []session.Checked{{
		Number: session.Number(asked), Verdict: session.Registered, Canonical: session.Number(canonical), LID: lid, At: s.now,
	}}))
}

func testIdentity(t *testing.T, open opener) {
	t.Run("a task tells both addresses once they are known", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		id := s.message(herNumber)
		before := s.get(id).Contact
		require.Equal(t, task.Identity{ID: before.ID, Phone: herNumber}, before)
		ends := s.claimOne()
		ends.Canonical, ends.LID = herNumber, herLID
		s.finish(ends, task.Yes)
		require.Equal(t, task.Identity{ID: before.ID, Phone: herNumber, LID: herLID}, s.get(id).Contact)
		for _, address := range []string{herNumber, herLID, before.ID} {
			require.Equal(t, before.ID, s.contact(address).ID, address)
		}
		require.Zero(t, s.contact("c_nobody"))
	})

	t.Run("a LID gets its number, and stays the same contact", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.hears(task.Address{LID: herLID})
		first := s.contact(herLID)
		require.Equal(t, task.Identity{ID: first.ID, LID: herLID}, first.Identity)
		s.now = s.later(time.Hour)
		s.hears(task.Address{Number: herNumber, LID: herLID})
		known := s.contact(herNumber)
		require.Equal(t, task.Identity{ID: first.ID, Phone: herNumber, LID: herLID}, known.Identity)
		require.Equal(t, first.FirstHeard, known.FirstHeard)
		require.Equal(t, s.now, known.LastHeard)
	})

	t.Run("two contacts that are one become one chat", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.hears(task.Address{LID: herLID})
		older := s.contact(herLID).ID
		s.now = s.later(time.Hour)
		first, second := s.message(herNumber), s.accept(task.New{Kind: task.Message, LID: herLID, Text: "hello", MessageID: "3EB0"})
		waits := s.claimOne()
		require.True(t, waits.Cold)
		waits.NotBefore = s.later(time.Hour)
		require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{waits}))
		require.NotEqual(t, older, waits.Contact.ID)
		s.learns(herNumber, herNumber, herLID)
		for _, id := range []task.ID{first, second} {
			require.Equal(t, task.Identity{ID: older, Phone: herNumber, LID: herLID}, s.get(id).Contact)
		}
		require.Empty(t, s.claim(task.ClassMessage, 1), "the message to the LID waits for the one before it")
		require.False(t, s.get(first).Cold)
		require.Equal(t, older, s.contact(herNumber).ID)
		require.Zero(t, s.contact(waits.Contact.ID))
	})

	t.Run("a merge keeps the earlier times, the opt-out and the texts", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		hash := [32]byte{1}
		s.message(herNumber)
		s.finish(s.claimOne(), task.Yes)
		sent := s.now
		s.now = s.later(time.Hour)
		s.hears(task.Address{LID: herLID})
		for _, address := range []string{herNumber, herLID} {
			require.NoError(t, s.tasks.KeepText(t.Context(), account, hash, s.contact(address).ID, s.now))
		}
		require.NoError(t, s.people.OptOut(t.Context(), account, []string{herLID}, s.now))
		s.learns("15550100", herNumber, herLID)
		known := s.contact("15550100")
		require.Equal(t, task.Contact{
			Identity:  task.Identity{ID: known.ID, Phone: herNumber, LID: herLID},
			FirstSent: sent, FirstHeard: s.now, LastHeard: s.now, OptedOut: s.now,
		}, known)
		others, err := s.tasks.TextRecipients(t.Context(), account, hash, "", sent)
		require.NoError(t, err)
		require.Equal(t, 1, others)
	})

	t.Run("a contact that gets another LID stays the same contact", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.learns(herNumber, herNumber, herLID)
		before := s.contact(herNumber)
		s.now = s.later(time.Hour)
		s.learns(herNumber, herNumber, anotherLID)
		require.Equal(t, task.Identity{ID: before.ID, Phone: herNumber, LID: anotherLID}, s.contact(herNumber).Identity)
		require.Zero(t, s.contact(herLID))
	})

	t.Run("a person who gets another number stays the same contact", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.learns(herNumber, herNumber, herLID)
		before := s.contact(herNumber)
		s.hears(task.Address{Number: hisNumber, LID: herLID})
		require.Equal(t, task.Identity{ID: before.ID, Phone: hisNumber, LID: herLID}, s.contact(herLID).Identity)
		s.now = s.later(time.Hour)
		s.learns(herNumber, herNumber, anotherLID)
		require.NotEqual(t, before.ID, s.contact(herNumber).ID, "the old number is somebody else's now")
		require.Equal(t, task.Identity{ID: before.ID, Phone: hisNumber, LID: herLID}, s.contact(herLID).Identity)
	})

	t.Run("two people are never made one by a number that changes hands", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.learns(herNumber, herNumber, herLID)
		s.learns(hisNumber, hisNumber, anotherLID)
		she, he := s.contact(herNumber), s.contact(hisNumber)
		require.NoError(t, s.people.OptOut(t.Context(), account, []string{herNumber}, s.now))
		waiting := s.message(herNumber)
		s.now = s.later(time.Hour)
		s.learns(herNumber, herNumber, anotherLID)
		require.Equal(t, task.Identity{ID: he.ID, Phone: herNumber, LID: anotherLID}, s.contact(herNumber).Identity)
		require.Equal(t, task.Identity{ID: she.ID, LID: herLID}, s.contact(herLID).Identity)
		require.Equal(t, he.ID, s.get(waiting).Contact.ID, "what waits is for the number")
		require.False(t, s.contact(herNumber).OptedOut.IsZero(), "and so is the opt-out")
	})

	t.Run("an answer without a LID takes none away", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, open)
		s.learns(herNumber, herNumber, herLID)
		s.learns(herNumber, herNumber, "")
		require.Equal(t, herLID, s.contact(herNumber).LID)
		require.ErrorIs(t, s.people.OptOut(t.Context(), account, []string{"c_nobody"}, s.now), task.ErrNoContact)
	})
}
