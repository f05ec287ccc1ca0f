package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// ErrNewerSchema is returned for a ledger that a newer program has written.
var ErrNewerSchema = errors.New("the ledger was written by a newer whatsappd; use that one, or restore a backup")

// Numbered steps from an empty file to the schema of today. A step that was shipped never changes.
//
//go:embed migrations/*.sql
var migrations embed.FS

// readSteps returns the migrations in order: the first is number 1.
func readSteps(files fs.FS) ([]string, error) {
	names, err := fs.Glob(files, "migrations/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]string, len(names))
	for i, name := range names {
		digits, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
		if n, err := strconv.Atoi(digits); err != nil || n != i+1 {
			return nil, fmt.Errorf("migration %s should be number %d", name, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps[i] = string(text)
	}
	return steps, nil
}

// schemaVersion returns how many steps a ledger has seen. One of a newer program or of somebody else is refused.
func schemaVersion(ctx context.Context, q queries, path string, steps []string) (int, error) {
	var version, tables int
	if err := q.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the schema's version: %w", explain(err))
	}
	if version > len(steps) {
		err := fmt.Errorf("%w (schema %d, this program knows %d)", ErrNewerSchema, version, len(steps))
		if older := olderCopy(path, len(steps)); older != "" {
			err = fmt.Errorf("%w; a copy from before the change is %s", err, older)
		}
		return 0, err
	}
	if err := q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables); err != nil {
		return 0, fmt.Errorf("read the schema: %w", explain(err))
	}
	if version == 0 && tables > 0 || version < 0 {
		return 0, ErrNotLedger
	}
	return version, nil
}

// migrate runs the steps that the ledger has not seen, each in a transaction with its number, after the ledger was copied.
// user_version is the counter.
func migrate(ctx context.Context, conn *sql.Conn, path string, steps []string) error {
	version, err := schemaVersion(ctx, conn, path, steps)
	if err != nil {
		return err
	}
	if version > 0 && version < len(steps) {
		if err := copyBefore(ctx, conn, path, version); err != nil {
			return err
		}
	}
	for i := version; i < len(steps); i++ {
		step := steps[i] + fmt.Sprintf("\n;PRAGMA user_version = %d", i+1)
		err := transact(ctx, conn, func() error {
			_, err := conn.ExecContext(ctx, step)
			return err
		})
		if err != nil {
			return fmt.Errorf("migrate to schema %d: %w", i+1, explain(err))
		}
	}
	return nil
}

// transact runs a function in a transaction that holds the write lock from its beginning.
func transact(ctx context.Context, conn *sql.Conn, work func() error) error {
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := work()
	if err == nil {
		if _, err = conn.ExecContext(ctx, `COMMIT`); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// Fails when SQLite has rolled back already, as it does on a full disk; then there is nothing left to do.
	_, _ = conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	return err
}
