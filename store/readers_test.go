package store

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReadersWithoutWorkAreClosed(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	var busy []*sql.Conn
	for range readers {
		conn, err := db.reads.Conn(t.Context())
		require.NoError(t, err)
		busy = append(busy, conn)
	}
	for _, conn := range busy {
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool { return db.reads.Stats().OpenConnections == 0 }, time.Minute, time.Millisecond)
	require.NoError(t, db.Ping(t.Context()), "another one is opened")
}
