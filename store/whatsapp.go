package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"

	"whatsappd/task"
)

// WhatsApp opens whatsapp.db, the keys of the linked devices, for whatsmeow's own store, which also makes and upgrades its
// tables. There is one connection: with more, the library meets locks, and a locked store loses messages. Close closes it.
func (db *DB) WhatsApp(ctx context.Context) (*sql.DB, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, task.ErrStopping
	}
	if db.whatsapp != nil {
		return db.whatsapp, nil
	}
	path := filepath.Join(db.dir, whatsappFile)
	if err := prepareFile(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	pool := openFile(path, writing, 1)
	if err := useLog(ctx, pool); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, pool.Close()))
	}
	db.whatsapp = pool
	return pool, nil
}
