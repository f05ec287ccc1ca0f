package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// queueShape is how a long queue may look.
type queueShape struct {
	recipients int    // of all messages, in turn
	wait       string // until when a task waits, as SQL over its number i, ?3 being an hour from now
	class      task.Class
}

func queueShapes() map[string]queueShape {
	return map[string]queueShape{
		"many recipients":       {20_000, "0", task.ClassMessage},
		"one recipient retried": {1, "iif(i = 1, ?3, 0)", task.ClassMessage},
		"all wait":              {20_000, "?3", task.ClassMessage},
		"the last is due":       {1_000_000, "iif(i = ?1, 0, ?3)", task.ClassMessage},
		"strangers only":        {20_000, "0", task.ClassWarm},
		"checks wait":           {20_000, "?3", task.ClassCheck},
	}
}

// fillQueue queues so many tasks of a shape.
func fillQueue(t testing.TB, db *DB, shape queueShape, count int, now time.Time) {
	t.Helper()
	class := kept(shape.class)
	require.NoError(t, db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
		if err := needAccount(ctx, q, account); err != nil {
			return err
		}
		for _, statement := range []string{
			`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < min(?1, ?2))
				INSERT INTO contact (id, account, phone) SELECT 'c_' || i, 'default', printf('1555%07d', i) FROM n WHERE ?3 AND ?4 <> ''`,
			`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
				INSERT INTO task (id, account, kind, class, number, contact, text, message_id, return_url, for_number, request_hash, request_id,
					token_id, created, not_before)
				SELECT printf('01990000-0000-7000-8000-%012d', i), 'default', ?4, ?4, printf('1555%07d', i % ?2), 'c_' || (i % ?2),
					'A message of about the length that people write to each other.', printf('3EB0%016X', i), 'https://example.com/hook',
					'15550100100', hex(randomblob(32)), hex(randomblob(8)), 'wad_1234', 1, ` + shape.wait + ` FROM n`,
		} {
			if _, err := q.ExecContext(ctx, statement, count, min(shape.recipients, count), millis(now.Add(time.Hour)), string(class)); err != nil {
				return err
			}
		}
		return nil
	}))
}

// BenchmarkQueue measures what the next task costs as the queue grows: the median of some claims, and of some looks for when the
// next one is due. It reports the cost in the longest queue in times that in the shortest: the absolute times are the machine's.
func BenchmarkQueue(b *testing.B) {
	lengths := []int{1_000, 10_000, 100_000}
	for name, shape := range queueShapes() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				claim, next := map[int]time.Duration{}, map[int]time.Duration{}
				for _, length := range lengths {
					claim[length], next[length] = queueCost(b, shape, length)
				}
				for what, took := range map[string]map[int]time.Duration{"claim": claim, "next": next} {
					for _, length := range lengths {
						b.ReportMetric(float64(took[length].Microseconds()), fmt.Sprintf("µs/%s-of-%d", what, length))
					}
					b.ReportMetric(float64(took[lengths[len(lengths)-1]])/float64(took[lengths[0]]), "times/"+what)
				}
			}
		})
	}
}

// queueCost fills a fresh ledger and returns the medians of a claim and of a look for the next due task.
func queueCost(b *testing.B, shape queueShape, length int) (claim, next time.Duration) {
	b.Helper()
	now := time.Now()
	db, err := Open(b.Context(), b.TempDir(), Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	fillQueue(b, db, shape, length, now)
	_, err = db.writer.conn.ExecContext(b.Context(), `PRAGMA main.wal_checkpoint(TRUNCATE)`)
	require.NoError(b, err)
	var claims, looks durations
	for range 41 {
		began := time.Now()
		tasks, err := db.Claim(b.Context(), account, shape.class, now, 1)
		claims = append(claims, time.Since(began))
		require.NoError(b, err)
		require.NoError(b, db.Requeue(b.Context(), tasks))
		began = time.Now()
		_, _, err = db.NextDue(b.Context(), account, shape.class, now)
		looks = append(looks, time.Since(began))
		require.NoError(b, err)
	}
	slices.Sort(claims)
	slices.Sort(looks)
	return claims.of(50), looks.of(50)
}
