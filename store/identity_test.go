package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// peopled is a ledger with something about two people in every table that knows people: herNumber with herLID, and hisNumber.
func peopled(t *testing.T) (*DB, *scene) {
	t.Helper()
	db := openDB(t, t.TempDir())
	s := &scene{keepers: keepers{db, db, db, db}, t: t, now: time.UnixMilli(1_700_000_000_000).UTC()}
	s.hears(task.Address{LID: herLID})
	s.learns(herNumber, herNumber, herLID)
	s.learns("551155501001", herNumber, herLID)
	for _, number := range []string{herNumber, hisNumber} {
		s.message(number)
		s.finish(s.claimOne(), task.Yes)
		s.message(number)
		s.accept(task.New{Kind: task.Check, Number: number, IdempotencyKey: "key of " + s.contact(number).ID})
		require.NoError(t, db.KeepText(t.Context(), account, sha256.Sum256([]byte("hello")), s.contact(number).ID, s.now))
		require.NoError(t, db.OptOut(t.Context(), account, []string{number}, s.now))
	}
	return db, s
}

// mappingTables are where an address may be a key.
func mappingTables() []string { return []string{"contact", "contact_number"} }

// query returns the first column of all rows.
func query[T any](t *testing.T, db *DB, text string, args ...any) (values []T) {
	t.Helper()
	rows, err := db.reads.QueryContext(t.Context(), text, args...)
	require.NoError(t, err, text)
	defer rows.Close()
	for rows.Next() {
		var value T
		require.NoError(t, rows.Scan(&value))
		values = append(values, value)
	}
	require.NoError(t, rows.Err())
	return values
}

func tablesOf(t *testing.T, db *DB) []string {
	return query[string](t, db, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
}

// keyColumns are the columns of a table that are in its primary key, in an index, or refer to another table.
func keyColumns(t *testing.T, db *DB, table string) []string {
	return query[string](t, db, `SELECT name FROM pragma_table_info(?1) WHERE pk > 0
		UNION SELECT i.name FROM pragma_index_list(?1) AS l, pragma_index_info(l.name) AS i WHERE i.name IS NOT NULL
		UNION SELECT "from" FROM pragma_foreign_key_list(?1)`, table)
}

func TestAddressesAreKeysInTheMappingOnly(t *testing.T) {
	t.Parallel()
	db, _ := peopled(t)
	withKeys := 0
	for _, table := range tablesOf(t, db) {
		columns := keyColumns(t, db, table)
		if slices.Contains(mappingTables(), table) {
			continue
		}
		withKeys += len(columns)
		for _, column := range columns {
			for _, word := range []string{"number", "phone", "lid", "jid", "canonical"} {
				require.NotContains(t, strings.Split(column, "_"), word, "%s.%s", table, column)
			}
			if table == "task" && column == "message_id" {
				continue // the tests make it of the number
			}
			for _, value := range query[string](t, db, fmt.Sprintf(`SELECT CAST(%s AS TEXT) FROM %s WHERE %[1]s IS NOT NULL`, column, table)) {
				for _, address := range []string{herNumber, hisNumber, herLID} {
					require.NotContains(t, value, strings.TrimSuffix(address, "@lid"), "%s.%s", table, column)
				}
			}
		}
	}
	require.Greater(t, withKeys, 20)
	for _, table := range []string{"chat", "optout", "text_sent", "task", "contact_event"} {
		require.NotEmpty(t, query[int](t, db, `SELECT 1 FROM `+table), "%s shows nothing", table)
	}
}

// contents are the rows of all tables but the mapping's.
func contents(t *testing.T, db *DB) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range tablesOf(t, db) {
		if slices.Contains(mappingTables(), table) {
			continue
		}
		columns := query[string](t, db, `SELECT group_concat('quote(' || name || ')', ' || ''|'' || ') FROM pragma_table_info(?)`, table)
		all[table] = query[string](t, db, `SELECT `+columns[0]+` AS row FROM `+table+` ORDER BY row`)
	}
	return all
}

func TestAnotherAddressMovesNoOtherRow(t *testing.T) {
	t.Parallel()
	db, s := peopled(t)
	before, id := contents(t, db), s.contact(herNumber).ID
	s.now = s.later(time.Hour)
	s.learns(herNumber, herNumber, anotherLID)
	require.Equal(t, before, contents(t, db))
	s.learns(herNumber, "15550100109", anotherLID)
	require.Equal(t, before, contents(t, db))
	require.Equal(t, task.Identity{ID: id, Phone: "15550100109", LID: anotherLID}, s.contact(herNumber).Identity)
	s.learns(hisNumber, hisNumber, herLID)
	require.Equal(t, before, contents(t, db), "a LID that nobody has any more, for somebody else")
}

// TestAMergeIsToldOnce shows where an event to callers would be taken from.
func TestAMergeIsToldOnce(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	db, err := Open(t.Context(), t.TempDir(), Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s := &scene{keepers: keepers{db, db, db, db}, t: t, now: time.UnixMilli(1_700_000_000_000).UTC()}
	s.message(hisNumber)
	s.hears(task.Address{LID: herLID})
	s.hears(task.Address{LID: anotherLID})
	she, he := s.contact(herLID).ID, s.contact(hisNumber).ID
	gone := s.contact(anotherLID).ID
	for range 2 {
		s.now = s.later(time.Hour)
		s.hears(task.Address{Number: herNumber, LID: herLID})
		s.learns(hisNumber, hisNumber, anotherLID)
	}
	s.learns("15550100103", "15550100103", "100000000000103@lid") // two addresses at once are no news
	require.Equal(t, []string{"contact.merged " + she + " ", "contact.merged " + he + " " + gone},
		query[string](t, db, `SELECT what || ' ' || contact || ' ' || gone FROM contact_event ORDER BY seq`))
	require.Equal(t, 2, strings.Count(log.String(), "contact.merged"))
	require.Contains(t, log.String(), "contact="+he+" gone="+gone)
	require.NotContains(t, log.String(), herNumber)

	require.Error(t, db.remap(t.Context(), func(ctx context.Context, m *mapping) error {
		m.account = account
		if _, err := m.learn(ctx, task.Address{Number: hisNumber, LID: herLID}); err != nil {
			return err
		}
		return context.Canceled
	}))
	require.Equal(t, 2, strings.Count(log.String(), "contact.merged"), "what was undone is not told")
}
