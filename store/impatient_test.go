package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// BenchmarkImpatient measures the look for tasks that do not wait out a log-out, behind many that do.
func BenchmarkImpatient(b *testing.B) {
	db, err := Open(b.Context(), b.TempDir(), Options{})
	require.NoError(b, err)
	defer func() { require.NoError(b, db.Close()) }()
	fillQueue(b, db, queueShapes()["many recipients"], 100_000, time.Now())
	_, err = db.change(b.Context(), `UPDATE task SET patient = 1`)
	require.NoError(b, err)
	for b.Loop() {
		none, err := db.Impatient(b.Context(), account, task.ClassMessage, 100)
		require.NoError(b, err)
		require.Empty(b, none)
	}
}
