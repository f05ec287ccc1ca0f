package simulator

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// rolled is what the dice do to so many operations of each of these kinds, which take turns.
func rolled(d *dice, count int, operations ...string) map[string][]Fault {
	struck := map[string][]Fault{}
	for range count {
		for _, at := range operations {
			f, _ := d.roll(at)
			struck[at] = append(struck[at], f)
		}
	}
	return struck
}

func TestASeedRollsTheSameForEachOperation(t *testing.T) {
	t.Parallel()
	first := rolled(newDice(50, 7), 200, "message", "iq:usync", "receipt")
	again := rolled(newDice(50, 7), 200, "receipt", "login", "message", "iq:usync")
	for at := range first {
		require.Equal(t, first[at], again[at], at)
	}
	require.NotEqual(t, first["message"], rolled(newDice(50, 8), 200, "message")["message"], "another seed rolls otherwise")
}

func TestTheLevelSaysHowMuchGoesWrong(t *testing.T) {
	t.Parallel()
	strikes := func(level int) int {
		all := rolled(newDice(level, 7), 2000, "message")["message"]
		return len(slices.DeleteFunc(all, func(f Fault) bool { return f.Do == "" }))
	}
	require.Nil(t, newDice(0, 7))
	require.InDelta(t, 0.745*2000, strikes(100), 100)
	require.InDelta(t, 0.224*2000, strikes(30), 80)
}

func TestMischiefIsMadeOfFaultsThereAre(t *testing.T) {
	t.Parallel()
	for at, all := range mischiefs() {
		total := 0.0
		for _, m := range all {
			f := Fault{At: at, Do: m.do, Code: m.code, Delay: Duration(m.delay)}
			require.NoError(t, f.check(), "%s %s", at, m.do)
			total += m.chance
		}
		require.LessOrEqual(t, total, 1.0, at)
	}
}
