package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned when another process uses the data directory.
var ErrLocked = errors.New("another whatsappd is using it")

// ErrMode is returned when others may enter the data directory and we cannot change that.
var ErrMode = errors.New("others may read it, and its mode is not ours to change; run chmod 700 as its owner")

const lockFile = "lock"

// lock is the exclusive use of a data directory. The operating system ends it with the process, however that ends, but also
// when the file is collected as garbage: so the file is kept here.
type lock struct{ file *os.File }

// takeLock locks the directory without waiting. The process ID in the file is only for the message of the one who is refused.
func takeLock(dir string) (*lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", withUser(err))
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("data directory %s: %w%s; stop it, or choose another data_dir", dir, ErrLocked, holder(file))
	case err != nil:
		err = fmt.Errorf("lock the data directory %s: %w", dir, err)
	default:
		if err = note(file); err == nil {
			return &lock{file}, nil
		}
		err = fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	return nil, errors.Join(err, file.Close())
}

// holder reads who holds the lock, as text to append; empty when that is not known.
func holder(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func note(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	if errors.Is(err, unix.ENOSPC) {
		return nil // the lock holds all the same
	}
	return err
}

// release gives the directory back. The file stays: removing it would let two processes lock two files of the same name.
func (l *lock) release() error {
	// Closing alone would leave the lock to a child that another goroutine is just starting.
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}

// makePrivate makes the data directory, for us alone. A wider one that is ours is narrowed, except when it holds files of
// somebody else's making: then data_dir may be a slip that names a home or a shared directory.
func makePrivate(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", withUser(err))
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	mode := info.Mode().Perm()
	if mode&0o077 == 0 {
		return nil
	}
	if known, err := holdsOnlyOurs(dir); err != nil {
		return fmt.Errorf("look into the data directory: %w", withUser(err))
	} else if !known {
		return fmt.Errorf("data directory %s (mode %04o): %w", dir, mode, ErrMode)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("data directory %s (mode %04o): %w", dir, mode, errors.Join(ErrMode, withUser(err)))
	}
	log.Warn("data directory was open to others; made it private", "dir", dir, "mode", fmt.Sprintf("%04o", mode))
	return nil
}

// holdsOnlyOurs reports whether a directory is empty or was used as a data directory before.
func holdsOnlyOurs(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	if len(entries) == 0 || len(entries) == 1 && entries[0].Name() == "lost+found" {
		return true, nil // lost+found: a volume of its own
	}
	return slices.ContainsFunc(entries, func(entry fs.DirEntry) bool {
		return slices.Contains([]string{lockFile, markFile, ledgerFile, whatsappFile}, entry.Name())
	}), nil
}
