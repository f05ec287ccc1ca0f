package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/httpapi"
	"whatsappd/simulator"
)

func TestAMessageGoesToTheNumberWhatsAppNames(t *testing.T) {
	t.Parallel()
	const asked, named = "5511987654321", "551187654321"
	w := calmWorld(t, 0)
	w.account(simulator.AccountSpec{Number: named, Name: "Dora"})
	w.serve()
	w.pair()
	id := w.ws("message", asked, "first")
	w.hook.result(id, "True")
	first := w.task(id)
	require.Equal(t, asked, first.Number)
	require.Equal(t, named, first.Canonical)
	require.Equal(t, "+"+named, *first.Phone)
	require.Equal(t, w.lidOf(named), *first.LID)
	checked := func(task httpapi.TaskAnswer) string {
		at := slices.IndexFunc(task.Timeline, func(s httpapi.Step) bool { return s.What == "checked" })
		require.GreaterOrEqual(t, at, 0, "%+v", task.Timeline)
		require.WithinRange(t, task.Timeline[at].At, *task.Created, *task.Finished)
		return task.Timeline[at].Detail
	}
	require.NotContains(t, checked(first), "cache", "a number that nobody checked is checked first")

	queries := w.counters().UsyncQueries
	id = w.ws("message", asked, "second")
	w.hook.result(id, "True")
	require.Regexp(t, `^cache`, checked(w.task(id)))
	require.Equal(t, queries, w.counters().UsyncQueries, "within the age of the answer nothing is asked")
	require.Equal(t, []string{"first", "second"}, texts(w.inbox(named, 2)))
	require.Equal(t, 1, len(w.hook.all())-1, "one callback for each")
}

func TestAThousandChecksOfAHundredNumbersAskAHundred(t *testing.T) {
	t.Parallel()
	const numbers, each, callers = 100, 10, 20
	w := calmWorld(t, numbers/2)
	w.settings["WHATSAPPD_PACE_OFF"] = "true" // so is the allowance for checks
	w.serve()
	w.pair()
	number := func(n int) string {
		if n %= numbers; n >= numbers/2 {
			return fmt.Sprintf("49176200%05d", n) // nobody has it
		}
		return contact(n + 1)
	}
	before := w.counters()
	ids := make([]string, numbers*each)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := c; n < len(ids); n += callers {
				id, err := w.try(t.Context(), "check", number(n))
				if err != nil {
					t.Errorf("check %d was not accepted: %v", n, err)
					return
				}
				ids[n] = id
			}
		})
	}
	all.Wait()
	require.False(t, t.Failed())
	for n, id := range ids {
		want := "True"
		if n%numbers >= numbers/2 {
			want = "False"
		}
		w.hook.result(id, want)
	}
	after := w.counters()
	require.Equal(t, numbers, after.UsyncUsers-before.UsyncUsers, "each number is asked for once")
	require.Less(t, after.UsyncQueries-before.UsyncQueries, numbers, "numbers share queries")
}

// TestACheckThatGotNoAnswerIsNoFalse has WhatsApp fail to answer until the task's time is over.
func TestACheckThatGotNoAnswerIsNoFalse(t *testing.T) {
	t.Parallel()
	w := calmWorld(t, 4)
	w.settings["WHATSAPPD_TASK_MAX_AGE"] = "2s"
	w.serve()
	w.pair()
	for i, fault := range []simulator.Fault{{Do: "omit"}, {Do: "error", Code: 500}, {Do: "error", Code: 429}} {
		fault.At = "iq:usync"
		w.faults(fault)
		id := w.ws("check", contact(i+1))
		w.hook.result(id, checkFailed)
		failed := w.task(id)
		require.Equal(t, "failed", failed.State)
		require.NotEqual(t, "no", failed.Verdict, "%+v", fault)
		require.True(t, failed.Retryable, "%+v", fault)
		require.NotEmpty(t, failed.Code)
		require.NoError(t, w.sim.ClearFaults(t.Context()))
	}
	require.False(t, strings.Contains(fmt.Sprint(w.hook.all()), `"False"`))
}
