package store

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// BenchmarkAccept measures durable accepts per second, one and many callers, with and without a shared commit.
func BenchmarkAccept(b *testing.B) {
	for _, batch := range []int{batchSize, 1} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("batch=%d/callers=%d", batch, callers), func(b *testing.B) {
				b.ReportMetric(acceptRate(b, batch, callers, b.N), "accepts/s")
			})
		}
	}
}

// BenchmarkGroupCommit measures what the shared commit gains for 64 callers: compare this, not the absolute rates, which are
// the disk's.
func BenchmarkGroupCommit(b *testing.B) {
	for b.Loop() {
		const accepts = 4000
		together := acceptRate(b, batchSize, 64, accepts)
		apart := acceptRate(b, 1, 64, accepts/10)
		b.ReportMetric(together/apart, "times")
	}
}

// acceptRate accepts so many messages from several callers on a fresh ledger and returns how many were durable per second.
func acceptRate(b *testing.B, batch, callers, accepts int) float64 {
	b.Helper()
	db, err := open(b.Context(), b.TempDir(), Options{}, batch)
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	work := make(chan int)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for i := range work {
				w := task.New{
					Account: account, Kind: task.Message, Number: strconv.Itoa(15550100000 + i%1000), MessageID: "3EB0C0FFEE",
					Text: "A message of about the length that people write to each other.", ReturnURL: "http://host:9000/callback",
					IdempotencyKey: strconv.Itoa(i), RequestHash: "hash", RequestID: "request", TokenID: "token",
				}
				if _, err := db.Accept(b.Context(), w, time.Now()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	start := time.Now()
	for i := range accepts {
		work <- i
	}
	close(work)
	group.Wait()
	return float64(accepts) / time.Since(start).Seconds()
}

// BenchmarkMessage measures one message from accept to its end with callback, behind a backlog that waits.
func BenchmarkMessage(b *testing.B) {
	for _, waiting := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			db, err := Open(b.Context(), b.TempDir(), Options{})
			require.NoError(b, err)
			defer func() { require.NoError(b, db.Close()) }()
			now := time.Now()
			if waiting > 0 {
				fillQueue(b, db, queueShapes()["one recipient retried"], waiting, now)
			}
			for b.Loop() {
				_, err := db.Accept(b.Context(), task.New{Account: account, Kind: task.Message, Number: "15550100199", Text: "hello"}, now)
				require.NoError(b, err)
				claimed, err := db.Claim(b.Context(), account, task.ClassMessage, now, 1)
				require.NoError(b, err)
				end := task.Finished{Task: claimed[0], Callback: &task.Callback{URL: "http://host/cb", Body: []byte("{}")}, Pace: &task.PaceState{}}
				end.Task.State, end.Task.Verdict, end.Task.Finished = task.Done, task.Yes, now
				require.NoError(b, db.Finish(b.Context(), []task.Finished{end}))
				_, _, err = db.NextDue(b.Context(), account, task.ClassMessage, now)
				require.NoError(b, err)
			}
		})
	}
}
