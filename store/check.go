package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// wholeLimit is the size in bytes up to which a ledger is read whole before anything is done with it: less than half a second
// from a warm cache. A larger one is read beside the work, see [DB.Check].
const wholeLimit = 32 << 20

// suspectFile stands beside a ledger in which the daemon met damage while it ran: the next start reads it whole, however large.
const suspectFile = ledgerFile + ".damaged"

// finding is what a look at a ledger found.
type finding struct {
	version int  // of its schema
	whole   bool // all of it was read
	rows    bool // there are rows that break the schema's rules; nothing else is wrong
}

// inspect looks at a ledger without changing it and refuses what the daemon must not touch: files of others, of newer
// programs, half-made ones, and damaged ones as far as they are read. The connection only reads: closing one that may write
// would move the log into the database.
func inspect(ctx context.Context, path string, steps []string, limit int64) (_ finding, err error) {
	logged := max(0, fileSize(path+"-wal"))
	mode := reading
	if fileSize(path+"-journal") > 0 {
		mode = writing // a first start was cut off: SQLite has to undo it before anybody can read
	}
	pool := openFile(path, mode, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	version, err := schemaVersion(ctx, pool, path, steps)
	if err != nil {
		return finding{}, err
	}
	if err := compareSchema(ctx, pool, steps[:version]); err != nil {
		return finding{}, err
	}
	suspect := fileSize(filepath.Join(filepath.Dir(path), suspectFile)) >= 0
	if version == len(steps) && !suspect && fileSize(path)+logged > limit {
		return finding{version: version}, nil
	}
	// the long form, which also compares each index with its table: a log that belongs to another file shows there
	rows, err := readWhole(ctx, pool, `PRAGMA main.integrity_check(100)`)
	return finding{version: version, whole: true, rows: rows}, err
}

// readWhole runs one of SQLite's own checks over all of a database. Rows that break the schema's rules are told from damage:
// they can be set aside.
func readWhole(ctx context.Context, q queries, check string) (unfit bool, err error) {
	// Only main: the check would leave the temporary database in a state that the checkpoint in Close refuses.
	lines, err := q.QueryContext(ctx, check)
	if err != nil {
		return false, fmt.Errorf("check: %w", explain(err))
	}
	defer lines.Close()
	ofRow := regexp.MustCompile(`^(NULL value in|non-\w+ value in|CHECK constraint failed in) \w`)
	for lines.Next() {
		var verdict string
		if err := lines.Scan(&verdict); err != nil {
			return false, fmt.Errorf("check: %w", explain(err))
		}
		switch {
		case verdict == "ok":
		case ofRow.MatchString(verdict):
			unfit = true
		default:
			return false, damaged(verdict)
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("check: %w", explain(err))
	}
	return unfit, nil
}

// damaged is ErrDamaged with what SQLite found, in one line of bounded length.
func damaged(found string) error {
	words := strings.Join(strings.Fields(strings.ReplaceAll(found, "*** in database main ***", "")), " ")
	return fmt.Errorf("%w: %.200s", ErrDamaged, words)
}

// Check reads the whole ledger beside the work, when Open left that for later because it is large. It returns ErrDamaged for
// one that must not be used on: then the daemon is to stop, and the next Open refuses the ledger.
func (db *DB) Check(ctx context.Context) error {
	if db.checked {
		return nil
	}
	unfit, err := readWhole(ctx, db.reads, `PRAGMA main.quick_check(100)`)
	if ctx.Err() != nil {
		return nil // told to stop: the next start checks again
	}
	if unfit {
		db.log.Warn("the ledger has rows that break its own rules; the next start sets them aside")
	}
	if unfit || errors.Is(err, ErrDamaged) {
		err = errors.Join(err, writeWhole(db.dir, suspectFile, "the next start reads the whole ledger\n"))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(db.dir, ledgerFile), err)
	}
	return nil
}

// compareSchema refuses a ledger that lacks something its schema has: it is half-made, or somebody else's.
func compareSchema(ctx context.Context, q queries, steps []string) error {
	if len(steps) == 0 {
		return nil
	}
	model := openFile(":memory:", "", 1)
	defer model.Close()
	for _, step := range steps {
		if _, err := model.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("build the schema to compare with: %w", err)
		}
	}
	want, err := columns(ctx, model)
	if err != nil {
		return err
	}
	got, err := columns(ctx, q)
	if err != nil {
		return err
	}
	for column := range want {
		if !got[column] {
			return fmt.Errorf("%w: schema %d has %.120s, and it has not", ErrNotLedger, len(steps), column)
		}
	}
	return nil
}

// columns names all that a schema is made of: its tables and indexes with their columns, and how its indexes and triggers are made.
func columns(ctx context.Context, q queries) (map[string]bool, error) {
	rows, err := q.QueryContext(ctx, `SELECT format('the column %s.%s %s %d %d', t.name, c.name, c.type, c."notnull", c.pk)
			FROM sqlite_schema AS t, pragma_table_info(t.name) AS c WHERE t.type = 'table'
		UNION ALL SELECT format('the index %s (%s)', t.name, coalesce(c.name, '')) FROM sqlite_schema AS t, pragma_index_info(t.name) AS c
			WHERE t.type = 'index'
		UNION ALL SELECT format('the %s %s, made by %s', type, name, replace(replace(sql, char(10), ' '), char(9), '')) FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql <> ''`)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", explain(err))
	}
	defer rows.Close()
	names := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("read the schema: %w", explain(err))
		}
		names[name] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the schema: %w", explain(err))
	}
	return names, nil
}

// fileSize returns a file's size, or -1 when there is none.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return -1
	}
	return info.Size()
}
