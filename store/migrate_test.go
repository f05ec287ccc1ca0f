package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// TestTheFirstSchemaOpens starts from a ledger as the first release wrote it: testdata/schema1.sql never changes.
func TestTheFirstSchemaOpens(t *testing.T) {
	t.Parallel()
	dump, err := os.ReadFile("testdata/schema1.sql")
	require.NoError(t, err)
	dir := t.TempDir()
	pool := openFile(filepath.Join(dir, ledgerFile), "", 1)
	_, err = pool.ExecContext(t.Context(), string(dump))
	require.NoError(t, err)
	require.NoError(t, pool.Close())

	db := openDB(t, dir)
	require.Equal(t, schemaOf(t, openDB(t, t.TempDir())), schemaOf(t, db))
	tasks := mustList(t, db)
	require.Len(t, tasks, 3)
	check, message, done := tasks[0], tasks[1], tasks[2]
	require.Equal(t, "hello \U0001f600", message.Text)
	require.Equal(t, task.Running, message.State)
	require.Equal(t, "3EB0C0FFEE", message.MessageID)
	require.Equal(t, task.Queued, check.State)
	require.Equal(t, task.Yes, done.Verdict)
	deliveries, err := db.Deliveries(t.Context(), callback.Due, "", 10)
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	require.Equal(t, done.ID, deliveries[0].TaskID)
	attempts, err := db.Attempts(t.Context(), deliveries[0].ID)
	require.NoError(t, err)
	require.Len(t, attempts, 1)
	facts, err := db.Facts(t.Context(), session.DefaultAccount)
	require.NoError(t, err)
	require.Equal(t, session.Number("15550100100"), facts.Number)
	pace, err := db.Pace(t.Context(), account)
	require.NoError(t, err)
	require.Len(t, pace.Sends, 1)
	again, err := db.Accept(t.Context(), task.New{Account: account, Kind: task.Check, IdempotencyKey: "key", RequestHash: "hash"}, time.Now())
	require.NoError(t, err)
	require.Equal(t, task.Accepted{ID: check.ID, Duplicate: true}, again)
}

// schemaOf returns how everything in a ledger was made.
func schemaOf(t *testing.T, db *DB) []string {
	t.Helper()
	rows, err := db.reads.QueryContext(t.Context(), `SELECT name || ': ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name`)
	require.NoError(t, err)
	defer rows.Close()
	var schema []string
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		schema = append(schema, line)
	}
	require.NoError(t, rows.Err())
	return schema
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	require.NoError(t, db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
		_, err := q.ExecContext(ctx, `PRAGMA user_version = 99`)
		return err
	}))
	require.NoError(t, db.Close())
	_, err := Open(t.Context(), dir, Options{})
	require.ErrorIs(t, err, ErrNewerSchema)
	require.ErrorContains(t, err, "schema 99, this program knows ")
}

func TestAStepIsTakenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ledgerFile)
	pool := openFile(path, writing, 1)
	defer pool.Close()
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	good := []string{`CREATE TABLE a (x); -- one`, `CREATE TABLE b (x); INSERT INTO b VALUES (1)`}
	bad := []string{good[0], `CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)`}
	version := func() (v int) {
		require.NoError(t, conn.QueryRowContext(t.Context(), `PRAGMA user_version`).Scan(&v))
		return v
	}
	require.ErrorContains(t, migrate(t.Context(), conn, path, bad), "schema 2")
	require.Equal(t, 1, version())
	require.NoError(t, migrate(t.Context(), conn, path, good))
	require.Equal(t, 2, version())
	require.NoError(t, migrate(t.Context(), conn, path, good))
	require.ErrorIs(t, migrate(t.Context(), conn, path, good[:1]), ErrNewerSchema)
}

func TestStepsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	_, err := readSteps(fstest.MapFS{"migrations/0001_a.sql": {}, "migrations/0003_b.sql": {}})
	require.ErrorContains(t, err, "should be number 2")
	steps, err := readSteps(migrations)
	require.NoError(t, err)
	require.NotEmpty(t, steps)
}

// openSchema opens a ledger of so many steps at a path, as a program of its time did, and closes it.
func openSchema(t *testing.T, path string, steps int) error {
	t.Helper()
	all := make([]string, steps)
	for i := range all {
		all[i] = fmt.Sprintf("CREATE TABLE t%d (x); INSERT INTO t%d VALUES (%d)", i, i, i)
	}
	pool := openFile(path, writing, 1)
	defer pool.Close()
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	return migrate(t.Context(), conn, path, all)
}

func TestTheLedgerIsCopiedBeforeItsSchemaChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd [name]*", ledgerFile)
	require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
	require.NoError(t, openSchema(t, path, 1))
	names, err := copies(path)
	require.NoError(t, err)
	require.Empty(t, names, "a new ledger needs no copy")
	for schema := 2; schema <= 6; schema++ {
		require.NoError(t, openSchema(t, path, schema))
		require.NoError(t, openSchema(t, path, schema), "opened again without a change")
	}
	names, err = copies(path)
	require.NoError(t, err)
	require.Equal(t, []string{path + ".schema-5", path + ".schema-4", path + ".schema-3"}, names, "the newest three")
	info, err := os.Stat(names[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())

	err = openSchema(t, path, 4)
	require.ErrorIs(t, err, ErrNewerSchema)
	require.ErrorContains(t, err, path+".schema-4")
	require.NoError(t, os.Rename(path+".schema-4", path))
	require.NoError(t, openSchema(t, path, 4), "the copy serves the older program")
}

func TestWithoutRoomForTheCopyNothingChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), ledgerFile)
	require.NoError(t, openSchema(t, path, 1))
	require.NoError(t, os.MkdirAll(path+".schema-1.part/taken", 0o700))
	require.ErrorContains(t, openSchema(t, path, 2), "copy the ledger")
	require.NoError(t, os.RemoveAll(path+".schema-1.part"))
	require.NoError(t, openSchema(t, path, 1), "the schema is the old one")
}
