package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// copiesKept is how many copies of older schemas stay beside the ledger.
const copiesKept = 3

// copyMark stands between the ledger's name and the schema of a copy: ledger.db.schema-1.
const copyMark = ".schema-"

// copyBefore copies a ledger of an older schema before it is changed, and drops the oldest copies. The copy is whole or not
// there: it gets its name once it is on the disk.
func copyBefore(ctx context.Context, conn *sql.Conn, path string, version int) error {
	target := path + copyMark + strconv.Itoa(version)
	unfinished := target + ".part"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("copy the ledger before its schema changes: %w", withUser(err))
	}
	err := vacuumInto(ctx, conn, unfinished)
	if err == nil {
		err = os.Rename(unfinished, target)
	}
	if err != nil {
		_ = os.Remove(unfinished) // of no use; the error below is the one to tell
		return fmt.Errorf("copy the ledger before its schema changes (it needs about as much free space as the ledger has): %w", err)
	}
	return dropOldCopies(path)
}

// vacuumInto writes all that a database holds into a new file, readable for nobody else.
func vacuumInto(ctx context.Context, q queries, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) // SQLite takes an empty file as it is
	if err != nil {
		return withUser(err)
	}
	defer file.Close()
	if _, err := q.ExecContext(ctx, `VACUUM INTO ?`, path); err != nil {
		return explain(err)
	}
	return file.Sync()
}

// copies returns the copies beside a ledger, of the newest schema first.
func copies(path string) ([]string, error) {
	names, err := filepath.Glob(strings.NewReplacer("*", `\*`, "?", `\?`, "[", `\[`, `\`, `\\`).Replace(path) + copyMark + "*")
	if err != nil {
		return nil, err
	}
	version := func(name string) int {
		n, err := strconv.Atoi(strings.TrimPrefix(name, path+copyMark))
		if err != nil {
			return -1
		}
		return n
	}
	names = slices.DeleteFunc(names, func(name string) bool { return version(name) < 0 })
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return names, nil
}

func dropOldCopies(path string) error {
	names, err := copies(path)
	if err != nil {
		return err
	}
	for _, name := range names[min(copiesKept, len(names)):] {
		if err := os.Remove(name); err != nil {
			return fmt.Errorf("drop an old copy of the ledger: %w", withUser(err))
		}
	}
	return nil
}

// olderCopy names the newest copy that a program knowing this many schemas can use, for the message that refuses a newer one.
func olderCopy(path string, known int) string {
	names, err := copies(path)
	if err != nil {
		return ""
	}
	for _, name := range names {
		if n, _ := strconv.Atoi(strings.TrimPrefix(name, path+copyMark)); n <= known {
			return name
		}
	}
	return ""
}
