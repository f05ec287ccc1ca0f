package session_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

func TestANumberIsFoundUnderItsOtherForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	for asked, real := range map[string]string{
		"5511987654321": "551187654321", // Brazil, a mobile number whose account is older than the ninth digit
		"551198765432":  "5511998765432",
		"5215512345678": "525512345678", // Mexico
		"525587654321":  "5215587654321",
		"5491123456789": "541123456789", // Argentina
		"541198765432":  "5491198765432",
		"4915112345678": "4915112345678", // a number with one form
	} {
		require.NoError(t, w.sim.AddAccount(simulator.AccountSpec{Number: real, Name: "Real"}))
		queries := w.sim.Counters().UsyncQueries
		answers, err := w.account.Check(t.Context(), []session.Number{session.Number(asked)})
		require.NoError(t, err)
		require.Equal(t, queries+1, w.sim.Counters().UsyncQueries, "all forms of %s in one query", asked)
		require.Equal(t, session.Registered, answers[session.Number(asked)].Verdict, asked)
		require.Equal(t, session.Number(real), answers[session.Number(asked)].Canonical)

		sent, err := w.send(asked, "hello")
		require.NoError(t, err)
		require.Equal(t, session.Number(real), sent.To)
		require.True(t, sent.FromCache)
		require.Len(t, w.read(real, 1), 1)
		queries = w.sim.Counters().UsyncQueries
		_, err = w.send(asked, "again")
		require.NoError(t, err)
		require.Equal(t, queries, w.sim.Counters().UsyncQueries, "a second send to %s asks nothing", asked)
	}
	w.isCalm()
}

func TestOnlyANoIsANo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   simulator.Fault
		verdict session.Verdict // empty: the number got no answer
		code    string          // of the error, empty for none
	}{
		"left out":               {simulator.Fault{Do: "omit"}, session.Unknown, ""},
		"under another address":  {simulator.Fault{Do: "other-user"}, session.Registered, ""},
		"about another number":   {simulator.Fault{Do: "other-question"}, session.Unknown, ""},
		"none in time":           {simulator.Fault{Do: "silence"}, "", session.CodeNetworkUncertain},
		"too many requests":      {simulator.Fault{Do: "error", Code: 429}, "", session.CodeRateLimited},
		"an error of WhatsApp's": {simulator.Fault{Do: "error", Code: 500}, "", session.CodeNetworkUncertain},
		"an error nobody knows":  {simulator.Fault{Do: "error", Code: 418}, "", "wa_418"},
		"no":                     {simulator.Fault{Do: "unregistered"}, session.NotRegistered, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Timing.Query, w.opts.Timing.CheckCooling = time.Second, 1
			w.pair()
			c.fault.At, c.fault.Times = "iq:usync", 1
			_, err := w.sim.AddFaults(c.fault)
			require.NoError(t, err)
			begun := time.Now()
			answers, err := w.account.Check(t.Context(), []session.Number{bea})
			answer, answered := answers[bea]
			require.Equal(t, c.verdict != "", answered)
			require.Equal(t, c.verdict, answer.Verdict)
			require.False(t, answer.FromCache)
			if answered {
				require.WithinRange(t, answer.At, begun, time.Now())
			}
			if c.code == "" {
				require.NoError(t, err)
			} else {
				var failed *session.Error
				require.ErrorAs(t, err, &failed)
				require.Equal(t, c.code, failed.Code)
			}
			if c.verdict == session.Registered {
				require.Equal(t, session.Number("4915100000008"), answer.Canonical, "the address that WhatsApp names")
				require.NotEmpty(t, answer.LID)
			}

			w.waitState(session.Online)
			again, err := w.account.Check(t.Context(), []session.Number{bea})
			require.NoError(t, err)
			said := c.verdict == session.Registered || c.verdict == session.NotRegistered
			require.Equal(t, said, again[bea].FromCache, "only what WhatsApp said is kept")
			if said {
				require.Equal(t, c.verdict, again[bea].Verdict)
			} else {
				require.Equal(t, session.Registered, again[bea].Verdict)
				require.Equal(t, session.Number(bea), again[bea].Canonical)
			}
		})
	}
}

func TestAnswersAreKeptForTheirTime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	w := newWorld(t)
	w.opts.CheckCachePositive, w.opts.CheckCacheNegative = 30*day, day
	var ahead time.Duration
	w.opts.Now = func() time.Time { return time.Now().Add(ahead) } // changed while nothing runs
	w.pair()
	asked := func() int {
		t.Helper()
		before := w.sim.Counters().UsyncUsers
		answers, err := w.account.Check(t.Context(), []session.Number{bea, nobody})
		require.NoError(t, err)
		require.Equal(t, session.Registered, answers[bea].Verdict)
		require.Equal(t, session.NotRegistered, answers[nobody].Verdict)
		return w.sim.Counters().UsyncUsers - before
	}
	require.Equal(t, 2, asked())
	for _, step := range []struct {
		age  time.Duration
		asks int
	}{{day - time.Minute, 0}, {day, 1}, {30*day - time.Minute, 1}, {30 * day, 1}, {30*day + time.Hour, 0}} {
		w.halt()
		ahead = step.age
		w.run()
		w.waitState(session.Online)
		require.Equal(t, step.asks, asked(), "%s after the first question", step.age)
	}
	w.halt()
	ahead = 61 * day
	w.run()
	w.waitState(session.Online)
	sent, err := w.send(bea, "hello")
	require.NoError(t, err)
	require.False(t, sent.FromCache, "an old answer is asked for again before a send")
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
