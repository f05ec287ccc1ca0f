package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// rulesOf returns how each table of a ledger was made.
func rulesOf(t *testing.T, q queries) map[string]string {
	t.Helper()
	rows, err := q.QueryContext(t.Context(), `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	require.NoError(t, err)
	defer rows.Close()
	rules := map[string]string{}
	for rows.Next() {
		var name, sql string
		require.NoError(t, rows.Scan(&name, &sql))
		rules[name] = sql
	}
	require.NoError(t, rows.Err())
	return rules
}

// tamper changes a closed ledger behind the program's back, with the schema's rules out of force.
func tamper(t *testing.T, dir string, statements ...string) {
	t.Helper()
	pool := openFile(filepath.Join(dir, ledgerFile), "", 1)
	defer func() { require.NoError(t, pool.Close()) }()
	exec := func(statement string) {
		_, err := pool.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	rules := rulesOf(t, pool)
	reread := func() { // SQLite reads the schema anew when its number has changed
		var version int
		require.NoError(t, pool.QueryRowContext(t.Context(), `PRAGMA schema_version`).Scan(&version))
		_, err := pool.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA schema_version = %d`, version+1))
		require.NoError(t, err)
	}
	exec(`PRAGMA writable_schema = ON`)
	exec(`PRAGMA ignore_check_constraints = ON`)
	exec(`UPDATE sqlite_schema SET sql = replace(replace(replace(replace(sql, ') STRICT', ') '), ' , WITHOUT', ' WITHOUT'), ' NOT NULL', ''), 'INTEGER,', 'ANY,')
		WHERE type = 'table' AND name IN ('task', 'callback', 'account')`)
	exec(`UPDATE sqlite_schema SET sql = replace(sql, 'INTEGER DEFAULT', 'ANY DEFAULT') WHERE type = 'table' AND name IN ('task', 'callback', 'account')`)
	reread()
	for _, statement := range statements {
		exec(statement)
	}
	for name, sql := range rules {
		_, err := pool.ExecContext(t.Context(), `UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?`, sql, name)
		require.NoError(t, err)
	}
	reread()
}

func TestHostileRows(t *testing.T) {
	t.Parallel()
	const victim = ` WHERE number = '15550100199'`
	for name, statement := range map[string]string{
		"91 NULL in a text":                 `UPDATE task SET text = NULL` + victim,
		"91 NULL in a number":               `UPDATE task SET attempt = NULL` + victim,
		"91 NULL in the state":              `UPDATE task SET state = NULL` + victim,
		"91 text for a time":                `UPDATE task SET created = 'yesterday'` + victim,
		"91 a blob for a text":              `UPDATE task SET text = x'00ff'` + victim,
		"91 unknown state":                  `UPDATE task SET state = 'paused'` + victim,
		"91 unknown kind":                   `UPDATE task SET kind = 'poke', class = 'poke'` + victim,
		"91 unknown class":                  `UPDATE task SET class = 'poke'` + victim,
		"91 negative attempts":              `UPDATE task SET attempt = -3, checksum = 0` + victim,
		"91 waits until the year 9999":      `UPDATE task SET not_before = 253402300799000` + victim,
		"91 accepted in the year 9999":      `UPDATE task SET created = 253402300799000` + victim,
		"91 negative time":                  `UPDATE task SET not_before = -5` + victim,
		"91 finished and still queued":      `UPDATE task SET finished = 5, text = NULL` + victim,
		"91 text of 10 MB":                  `UPDATE task SET text = printf('%.*c', 10000000, 'x'), checksum = 0` + victim,
		"91 another text":                   `UPDATE task SET text = 'send money'` + victim,
		"91 another return URL":             `UPDATE task SET return_url = 'http://169.254.169.254/'` + victim,
		"91 delivered by nobody we know of": `UPDATE task SET delivered_by = 'pigeon', text = NULL` + victim,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := openDB(t, dir)
			s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
			before, broken, after := s.message("15550100101"), s.message("15550100199"), s.message("15550100102")
			require.NoError(t, db.Close())
			tamper(t, dir, statement)

			db = openDB(t, dir)
			s.keepers = keepers{db, db, db, db}
			_, err := db.Recover(t.Context())
			require.NoError(t, err)
			worked := map[task.ID]string{}
			for _, class := range []task.Class{task.ClassCheck, task.ClassMessage, task.ClassMessage, task.ClassMessage} {
				for _, got := range s.claim(class, 1) {
					worked[got.ID] = got.Damaged
					end := s.end(got, task.Yes)
					if got.Damaged != "" {
						end = s.end(got, task.Failure)
					}
					require.NoError(t, db.Finish(t.Context(), []task.Finished{end}))
				}
			}
			require.Len(t, worked, 3)
			require.Empty(t, worked[before])
			require.Empty(t, worked[after])
			require.Contains(t, worked[broken], "its record in the ledger")
			require.Equal(t, task.Failed, s.get(broken).State)
			require.Len(t, mustList(t, db), 3, "the list shows all")
			require.NoError(t, db.Close())
			unfit, err := readWhole(t.Context(), openForTest(t, dir), `PRAGMA main.integrity_check(10)`)
			require.NoError(t, err)
			require.False(t, unfit, "the ledger keeps its rules again")
		})
	}
}

func openForTest(t *testing.T, dir string) queries {
	t.Helper()
	pool := openFile(filepath.Join(dir, ledgerFile), reading, 1)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return pool
}

func TestHostileRowsOfCallbacks(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"91 callback: NULL for its URL":             `url = NULL`,
		"91 callback: text for a time":              `next_at = 'soon'`,
		"91 callback: unknown state":                `state = 'lost'`,
		"91 callback: negative attempts":            `attempt = -1`,
		"91 callback: due in the year 9999":         `next_at = 253402300799000`,
		"91 callback: NULL for the body when tried": `body = NULL, state = 'sending'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := openDB(t, dir)
			s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
			broken := s.delivery("http://host/cb")
			sound := s.delivery("http://host/cb")
			require.NoError(t, db.Close())
			tamper(t, dir, `UPDATE callback SET `+change+` WHERE id = '`+broken.ID+`'`)

			db = openDB(t, dir)
			_, err := db.RecoverDeliveries(t.Context())
			require.NoError(t, err)
			due, err := db.ClaimDue(t.Context(), s.later(time.Hour), callback.Room{All: 10, Each: map[string]int{"http://host:80": 10}})
			require.NoError(t, err)
			require.Len(t, due, 1)
			require.Equal(t, sound.ID, due[0].ID)
			dead, err := db.Deliveries(t.Context(), callback.Dead, "", 10)
			require.NoError(t, err)
			require.Len(t, dead, 1)
			require.Equal(t, broken.ID, dead[0].ID)
			require.Contains(t, dead[0].LastError, "its record in the ledger")
		})
	}
}

func TestRowsThatCannotBeMendedRefuseTheLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
	s.message("15550100101")
	s.message("15550100102")
	require.NoError(t, db.Close())
	tamper(t, dir, `UPDATE task SET id = CAST(id AS BLOB)`) // two without an ID
	before := ledgerFiles(t, dir)
	_, err := Open(t.Context(), dir, Options{})
	require.ErrorIs(t, err, ErrDamaged)
	require.Equal(t, before, ledgerFiles(t, dir))
}

func TestARowOfTheAccountIsMended(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	require.NoError(t, db.KeepFacts(t.Context(), session.DefaultAccount, session.Facts{Number: "15550100100"}))
	require.NoError(t, db.Close())
	tamper(t, dir, `UPDATE account SET sends = NULL, paired_at = 'x'`)
	db = openDB(t, dir)
	facts, err := db.Facts(t.Context(), session.DefaultAccount)
	require.NoError(t, err)
	require.Equal(t, session.Number("15550100100"), facts.Number)
	_, err = db.Pace(t.Context(), account)
	require.NoError(t, err)
}
