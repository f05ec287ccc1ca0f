package session

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// firstRun runs a test on an account that was never paired. What it offers nobody scans.
func firstRun(t *testing.T, auto bool, rounds int, test func(t *testing.T, b *bench, offered *[]offer)) {
	t.Helper()
	var offered []offer
	prepareBench(t, Facts{}, func(b *bench) {
		b.a.opts.PairingAuto, b.a.opts.PairingRounds = auto, rounds
		o := b.a.owner
		o.link = nil
		o.facts = Facts{}
		o.fresh = func() *link {
			l := b.offering()
			offered = append(offered, offer{time.Now(), l.wire.(*doubleWire)})
			return l
		}
	}, func(t *testing.T, b *bench) { test(t, b, &offered) })
}

// offer is one device that was offered to be linked.
type offer struct {
	at   time.Time
	wire *doubleWire
}

// dials returns how often all of them dialled.
func dials(offered []offer) (count int) {
	for _, one := range offered {
		count += one.wire.count()
	}
	return count
}

func TestAFirstRunMakesABoundedSeriesOfRounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		auto         bool
		most, rounds int // as set, and as they come
	}{
		"with pairing.auto":        {true, 3, 3},
		"with pairing.rounds of 1": {true, 1, 1},
		"without pairing.auto":     {false, 3, 1},
		"with pairing.rounds of 0": {true, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			firstRun(t, test.auto, test.most, func(t *testing.T, b *bench, offered *[]offer) {
				b.is(Pairing)
				b.pass(60 * time.Hour)
				require.Len(t, *offered, test.rounds, "rounds over a week-end")
				require.Equal(t, test.rounds, dials(*offered), "one dial each")
				b.is(Unpaired)
				require.Equal(t, PairingExpired, b.a.Pairing().State)
				require.Empty(t, b.a.Pairing().Code)
				const scannable = 160 * time.Second // that is how long the six of a round can be scanned
				for i := range len(*offered) - 1 {
					gap := (*offered)[i+1].at.Sub((*offered)[i].at)
					require.InDelta(t, scannable+2*time.Minute<<i, gap, float64(2*time.Second), "growing pauses between rounds")
				}
				round, err := b.a.Pair(t.Context())
				require.NoError(t, err)
				require.NotEmpty(t, round.Code, "a person gets a code at once")
				require.Len(t, *offered, test.rounds+1)
			})
		})
	}
}

func TestTasksOfANeverPairedAccountMakeABoundedSeriesOfRounds(t *testing.T) {
	t.Parallel()
	const most = 3
	firstRun(t, true, most, func(t *testing.T, b *bench, offered *[]offer) {
		b.pass(24 * time.Hour)
		require.Len(t, *offered, most, "by itself")
		for range 3 * 24 * 60 { // a task a minute, for days
			b.a.NeedsPairing()
			b.pass(time.Minute)
		}
		require.Len(t, *offered, 2*most, "and for tasks")
		require.Equal(t, 2*most, dials(*offered))

		_, err := b.a.Pair(t.Context())
		require.NoError(t, err)
		b.pass(24 * time.Hour)
		require.Len(t, *offered, 3*most, "a person begins a new series")
	})
}
