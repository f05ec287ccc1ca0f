package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFaultsAreChosenByNumber(t *testing.T) {
	t.Parallel()
	ids := func(set, only string) (ids []string) {
		chosen, err := choose(set, only)
		require.NoError(t, err)
		for _, f := range chosen {
			ids = append(ids, f.id)
		}
		return ids
	}
	require.Equal(t, []string{"F1"}, ids("quick", "F1"))
	require.Equal(t, []string{"F5/ext4", "F5/xfs", "F1"}, ids("quick", "f5, F1"))
	require.Equal(t, []string{"F5/xfs"}, ids("quick", "F5/xfs"))
	require.Subset(t, ids("quick", ""), []string{"F1", "F5/ext4", "F5/xfs"})
	_, err := choose("quick", "F99")
	require.ErrorContains(t, err, `no fault "F99"`)
	_, err = choose("slow", "")
	require.Error(t, err)
}

func TestEveryFaultHasANumberOfItsOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range faults() {
		require.Regexp(t, `^F[0-9]+(/[a-z0-9]+)?$`, f.id)
		require.Len(t, find(f.id), 1, f.id)
		require.False(t, seen[f.id], f.id)
		require.NotNil(t, f.run, f.id)
		require.NotZero(t, f.long, f.id)
		seen[f.id] = true
	}
}

func TestTheTableTellsWhatWentWrong(t *testing.T) {
	t.Parallel()
	results := []result{
		{ID: "F10", Name: "ten", NotRun: "needs root"},
		{ID: "F9", Name: "nine", Cycles: 2, Accepted: 5, Done: 5},
		{ID: "F1", Name: "one", Cycles: 3, Accepted: 7, Done: 6, Lost: 1},
	}
	var out strings.Builder
	printTable(&out, results)
	require.Regexp(t, `(?s)F1 .*one +3 +7 +6 +1 +0 .*FAILED.*F9 .*ok.*F10.*not run: needs root`, out.String())
	require.EqualError(t, verdict(results), "failed: F1")
	require.NoError(t, verdict(results[1:]), "sorted: nine and ten")
}
