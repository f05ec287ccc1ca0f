package session_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// notices returns the codes of what operators were told.
func notices(w *world) []string {
	codes := []string{}
	for _, n := range told[session.Notice](w) {
		codes = append(codes, n.Code)
	}
	return codes
}

func TestAPhoneThatIsNotSeenIsToldOfTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var ahead time.Duration
	w.opts.Now = func() time.Time { return time.Now().Add(ahead) } // changed while nothing runs
	w.pair()
	require.WithinDuration(t, time.Now(), w.account.Status().PhoneSeen, time.Minute)
	for _, step := range []struct {
		days int
		want []string
	}{
		{9, []string{}},
		{10, []string{session.NoticePhoneUnseen}},
		{11, []string{session.NoticePhoneUnseen}},
		{12, []string{session.NoticePhoneUnseen, session.NoticePhoneUnseen}},
		{40, []string{session.NoticePhoneUnseen, session.NoticePhoneUnseen}},
	} {
		w.halt()
		ahead = time.Duration(step.days)*24*time.Hour + time.Minute
		w.run()
		w.waitState(session.Online)
		require.Equal(t, step.want, notices(w), "after %d days", step.days)
	}
	require.Contains(t, told[session.Notice](w)[1].Detail, "12 days")
}

func TestALockOnFirstContactsIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	for range 5 {
		require.NoError(t, w.sim.SetLimits(ana, simulator.Limits{LockedUntil: until, Notice: true}))
	}
	w.wait("the lock is known", func() bool { return w.account.Status().Reachout.Equal(until) })
	require.NoError(t, w.sim.SetLimits(ana, simulator.Limits{Notice: true}))
	w.wait("the end is known", func() bool { return w.account.Status().Reachout.IsZero() })
	require.Equal(t, []string{session.NoticeLocked, session.NoticeUnlocked}, notices(w))
	require.True(t, told[session.Notice](w)[0].Until.Equal(until))
	require.Equal(t, session.Online, w.account.Status().State)
	w.isCalm()
}

func TestALinkThatIsMadeAgainAndAgainNeedsAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PairingAuto = true
	w.opts.Timing.TaskRoundPause = time.Nanosecond
	var log strings.Builder
	w.opts.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	w.pair()
	for links := 2; links <= 4; links++ {
		require.NoError(t, w.sim.Kick(ana, simulator.KickRemoved))
		w.waitCode(links)
		w.scan(ana)
	}
	require.NoError(t, w.sim.Kick(ana, simulator.KickRemoved))
	w.waitState(session.LoggedOut)
	w.account.NeedsPairing()
	_ = w.account.ConfirmNumber(t.Context()) // it is answered after what was asked before
	require.Equal(t, 4, w.account.Pairing().Round, "no fifth round by itself")
	_, err := w.account.Pair(t.Context())
	require.NoError(t, err, "a person may")
	w.scan(ana)
	require.Equal(t, 5, w.account.Pairing().Round)
	w.halt() // nobody writes to the log any more
	require.Equal(t, 1, strings.Count(log.String(), "linked many times within a day; a person asks for another pairing round"), "the override is logged: %s", &log)
	require.Contains(t, log.String(), "links=4")
}
