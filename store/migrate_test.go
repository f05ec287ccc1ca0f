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

// TestEverySchemaOpens starts from a ledger as the first release wrote it (testdata/schema1.sql never changes), and as each
// later one left it.
func TestEverySchemaOpens(t *testing.T) {
	t.Parallel()
	steps, err := readSteps(migrations)
	require.NoError(t, err)
	for version := 1; version <= len(steps); version++ {
		t.Run(fmt.Sprint("90 schema ", version), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fillFirst(t, filepath.Join(dir, ledgerFile), steps[:version])
			keepsEverything(t, dir)
		})
	}
}

// fillFirst makes a ledger with what the first release kept in it, at the schema of so many steps.
func fillFirst(t *testing.T, path string, steps []string) {
	t.Helper()
	dump, err := os.ReadFile("testdata/schema1.sql")
	require.NoError(t, err)
	pool := openFile(path, writing, 1)
	defer pool.Close()
	_, err = pool.ExecContext(t.Context(), string(dump))
	require.NoError(t, err)
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, migrate(t.Context(), conn, path, steps))
}

// keepsEverything opens what fillFirst made, and looks at it.
func keepsEverything(t *testing.T, dir string) {
	t.Helper()
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

// TestPeopleGetAnIDOfTheirOwn starts from a ledger in which people were known by numbers only.
func TestPeopleGetAnIDOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, ledgerFile)
	fillNumbers(t, path)
	db := openDB(t, dir)
	require.FileExists(t, path+".schema-8")
	require.Equal(t, schemaOf(t, openDB(t, t.TempDir())), schemaOf(t, db))
	s := &scene{keepers: keepers{db, db, db, db}, t: t, now: time.UnixMilli(2_000).UTC()}

	she := s.contact("551155501001")
	require.Equal(t, task.Contact{
		Identity:  task.Identity{ID: she.ID, Phone: "5511955501001", LID: herLID},
		FirstSent: fromMillis(1_000), FirstHeard: fromMillis(1_200), LastHeard: fromMillis(1_300), OptedOut: fromMillis(900),
	}, she)
	require.Regexp(t, `^c_00000000-0000-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`, she.ID)
	require.Equal(t, she, s.contact("5511955501001"))
	require.Equal(t, she, s.contact(herLID))
	require.Equal(t, task.Identity{ID: s.contact("15550100103").ID, Phone: "15550100103"}, s.contact("15550100103").Identity, "its LID was told of another one later")
	require.False(t, s.contact("15550100102").OptedOut.IsZero(), "never asked about")

	tasks := mustList(t, db)
	require.Len(t, tasks, 3)
	require.Equal(t, task.Identity{}, tasks[0].Contact, "a login")
	require.Equal(t, she.Identity, tasks[1].Contact)
	require.Equal(t, "15550100102", tasks[2].Contact.Phone)
	known, err := db.CheckedNumbers(t.Context(), session.DefaultAccount, []session.Number{"551155501001", "5511955501001", "15550100109"})
	require.NoError(t, err)
	require.Equal(t, map[session.Number]session.Checked{
		"551155501001": {Number: "551155501001", Verdict: session.Registered, Canonical: "5511955501001", LID: herLID, At: fromMillis(800)},
		"15550100109":  {Number: "15550100109", Verdict: session.NotRegistered, At: fromMillis(800)},
	}, known)
	others, err := db.TextRecipients(t.Context(), account, [32]byte{}, "", time.UnixMilli(1))
	require.NoError(t, err)
	require.Equal(t, 1, others, "two forms of one number")
}

// fillNumbers writes a ledger of the schema in which numbers were keys.
func fillNumbers(t *testing.T, path string) {
	t.Helper()
	steps, err := readSteps(migrations)
	require.NoError(t, err)
	pool := openFile(path, writing, 1)
	defer pool.Close()
	conn, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, migrate(t.Context(), conn, path, steps[:8]))
	_, err = conn.ExecContext(t.Context(), `INSERT INTO account (id) VALUES ('default');
		INSERT INTO check_cache VALUES ('default', '551155501001', 'registered', '5511955501001', '100000000000101@lid', 800),
			('default', '15550100103', 'registered', '15550100103', '100000000000103@lid', 700),
			('default', '15550100104', 'registered', '15550100104', '100000000000103@lid', 800),
			('default', '15550100109', 'not_registered', '', '', 800);
		INSERT INTO contact (account, number, first_sent_at, last_heard_at, first_heard_at) VALUES
			('default', '5511955501001', 1000, 1200, 1200), ('default', '551155501001', 0, 1300, 1300);
		INSERT INTO optout VALUES ('default', '551155501001', 900), ('default', '15550100102', 901);
		INSERT INTO text_sent VALUES ('default', zeroblob(32), '551155501001', 1000), ('default', zeroblob(32), '5511955501001', 1100);
		INSERT INTO task (id, account, kind, class, number, text, message_id, return_url, for_number, request_hash, request_id, token_id, created)
			VALUES ('t1', 'default', 'check', 'check', '15550100102', '', '', '', '', '', '', '', 1),
			('t2', 'default', 'message', 'message', '551155501001', 'hello', '3EB0', '', '', '', '', '', 1),
			('t3', 'default', 'login', 'control', '', '', '', '', '', '', '', '', 1);`)
	require.NoError(t, err)
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
