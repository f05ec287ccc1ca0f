package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"whatsappd/session"
)

// WhatsApp's keys move on with every message, so an old copy of them must never be used. Both databases count how often the keys
// were taken up and put down. The keys' count goes first: whenever the process ends, the keys have counted as much as the ledger
// or once more. Keys that have counted less are an old copy.

const (
	makeCount = `CREATE TABLE IF NOT EXISTS keys_use (only INTEGER PRIMARY KEY CHECK (only = 1), count INTEGER NOT NULL) STRICT`
	keepCount = `INSERT INTO keys_use (only, count) VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET count = excluded.count`
)

// readCount returns a database's count, 0 when it has none yet.
func readCount(ctx context.Context, q queries) (count int64, err error) {
	there, err := hasTable(ctx, q, "keys_use")
	if err != nil || !there {
		return 0, err
	}
	err = q.QueryRowContext(ctx, `SELECT count FROM keys_use`).Scan(&count)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return count, explain(err)
}

func hasTable(ctx context.Context, q queries, name string) (there bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = ?`, name).Scan(&there)
	return there, explain(err)
}

// checkAge refuses keys of a linked device that are an old copy, and changes nothing. It returns what both databases counted at
// most.
func checkAge(ctx context.Context, path string, ledger queries) (count int64, err error) {
	pool := openFile(path, reading, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	known, err := readCount(ctx, ledger)
	if err != nil {
		return 0, fmt.Errorf("read how often the keys were used: %w", err)
	}
	count, err = readCount(ctx, pool)
	if err != nil || count >= known {
		return count, err
	}
	linked, err := hasTable(ctx, pool, "whatsmeow_device")
	if err == nil && linked {
		err = explain(pool.QueryRowContext(ctx, `SELECT count(*) > 0 FROM whatsmeow_device`).Scan(&linked))
	}
	if err == nil && linked {
		err = fmt.Errorf("%w, this is an older copy of them than the ledger knows (%d of %d starts and stops); "+
			"with old keys messages are lost and nobody is told; put the newest copy back, or move this one away and pair again: tasks are kept apart from it",
			session.ErrKeys, count, known)
	}
	return known, err
}

// countUse counts in both databases that the keys are taken up or put down.
func (db *DB) countUse(ctx context.Context) error {
	db.uses++
	if _, err := db.whatsapp.ExecContext(ctx, keepCount, db.uses); err != nil {
		return fmt.Errorf("%s: count its use: %w", filepath.Join(db.dir, whatsappFile), explain(err))
	}
	if _, err := db.change(ctx, keepCount, db.uses); err != nil {
		return fmt.Errorf("count the use of the keys: %w", err)
	}
	return nil
}
