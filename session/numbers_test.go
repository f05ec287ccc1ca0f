package session_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestANumberIsFoundUnderItsOtherForm(t *testing.T) {
	t.Parallel()
	const asked, real = "5511987654321", "551187654321"
	w := newWorld(t)
	require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: real, Name: "Real"}))
	w.pair()
	queries := w.sim.Counters().UsyncQueries
	answers, err := w.account.Check(t.Context(), []session.Number{asked})
	require.NoError(t, err)
	require.Equal(t, queries+1, w.sim.Counters().UsyncQueries, "all forms in one query")
	require.Equal(t, session.Registered, answers[asked].Verdict)
	require.Equal(t, session.Number(real), answers[asked].Canonical)

	sent, err := w.send(asked, "hello")
	require.NoError(t, err)
	require.Equal(t, session.Number(real), sent.To)
	require.True(t, sent.FromCache)
	require.Len(t, w.read(real, 1), 1)
	_, err = w.send(asked, "again")
	require.NoError(t, err)
	w.isCalm()
}

func TestChecksKeepTheirAllowance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.CheckLimits = session.CheckLimits{PerHour: 60}
	w.pair()
	users := w.sim.Counters().UsyncUsers
	numbers := make([]session.Number, 100)
	for i := range numbers {
		numbers[i] = session.Number(fmt.Sprintf("49152000%05d", i))
	}
	var asking sync.WaitGroup
	for range 10 { // a thousand requests for a hundred numbers
		asking.Go(func() {
			answers, err := w.account.Check(t.Context(), numbers)
			requireCode(t, err, session.CodeCheckAllowance, session.RetryPace)
			require.LessOrEqual(t, len(answers), 60)
		})
	}
	asking.Wait()
	require.Equal(t, 60, w.sim.Counters().UsyncUsers-users)
	w.halt()
	w.run()
	w.waitState(session.Online)
	_, err := w.account.Check(t.Context(), []session.Number{"4915199999999"})
	requireCode(t, err, session.CodeCheckAllowance, session.RetryPace)
	_, err = w.send(bea, "a send to a stranger is a check too")
	requireCode(t, err, session.CodeCheckAllowance, session.RetryPace)
}

func TestTooManyChecksHalveTheAllowance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.CheckLimits = session.CheckLimits{PerHour: 4}
	w.opts.Timing.CheckCooling = 1
	w.pair()
	_, err := w.account.Check(t.Context(), []session.Number{bea})
	require.NoError(t, err)
	_, err = w.sim.AddFaults(simulator.Fault{At: "iq:usync", Do: "error", Code: 429, Times: 1})
	require.NoError(t, err)
	_, err = w.account.Check(t.Context(), []session.Number{cem})
	requireCode(t, err, session.CodeRateLimited, session.RetryLater)
	_, err = w.account.Check(t.Context(), []session.Number{nobody})
	requireCode(t, err, session.CodeCheckAllowance, session.RetryPace)
	_, err = w.send(bea, "sends go on")
	require.NoError(t, err)
}
