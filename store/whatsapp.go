package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"whatsappd/session"
	"whatsappd/task"
)

// WhatsApp opens whatsapp.db, the keys of the linked devices, for whatsmeow's own store, which also makes and upgrades its
// tables. There is one connection: with more, the library meets locks, and a locked store loses messages. Close closes it. An old
// copy of it is session.ErrKeys, like keys that are damaged.
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
		return nil, unusable(path, err)
	}
	if err := checkKeys(ctx, path); err != nil {
		return nil, unusable(path, err)
	}
	uses, err := checkAge(ctx, path, db.reads)
	if err != nil {
		return nil, unusable(path, err)
	}
	pool := openFile(path, writing, 1)
	if err := useLog(ctx, pool); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, pool.Close()))
	}
	if _, err := pool.ExecContext(ctx, makeCount); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(explain(err), pool.Close()))
	}
	db.whatsapp, db.uses = pool, uses
	if err := db.countUse(ctx); err != nil {
		return nil, err
	}
	return pool, nil
}

// unusable says what to do about damaged keys: that is not what is to be done about a damaged ledger.
func unusable(path string, err error) error {
	switch {
	case errors.Is(err, ErrDamaged):
		_, found, _ := strings.Cut(err.Error(), ErrDamaged.Error())
		return fmt.Errorf("%s: %w, it is damaged%s; move it away and pair again: tasks are kept apart from it", path, session.ErrKeys, found)
	case errors.Is(err, ErrNotLedger):
		return fmt.Errorf("%s: %w, this is no database; move it away and pair again: tasks are kept apart from it", path, session.ErrKeys)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// checkKeys reads all of the keys' database, unless it is too large for that, and changes nothing. A daemon that finds damage
// only when it needs a key has taken work by then that it cannot do.
func checkKeys(ctx context.Context, path string) (err error) {
	if size := fileSize(path) + max(0, fileSize(path+"-wal")); size > wholeLimit || fileSize(path+"-journal") > 0 {
		return nil
	}
	pool := openFile(path, reading, 1)
	defer func() { err = errors.Join(err, pool.Close()) }()
	unfit, err := readWhole(ctx, pool, `PRAGMA main.integrity_check(1)`)
	if err == nil && unfit {
		err = ErrDamaged
	}
	return err
}

// In whatsmeow's own table. It is looked for device by device, as its index is.
const forgetSent = `DELETE FROM whatsmeow_retry_buffer WHERE our_jid IN (SELECT jid FROM whatsmeow_device) AND timestamp < ?`

// ForgetSent deletes the sent messages of before a time from whatsapp.db. whatsmeow keeps them for
// recipients' devices that could not open one.
func (db *DB) ForgetSent(ctx context.Context, before time.Time) error {
	keys, err := db.WhatsApp(ctx)
	if err == nil {
		_, err = keys.ExecContext(ctx, forgetSent, before.UnixMilli())
	}
	if err != nil {
		return fmt.Errorf("forget sent messages: %w", err)
	}
	return nil
}
