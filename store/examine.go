package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Finding is one thing that Examine looked at.
type Finding struct {
	What   string // in a word or two
	Detail string // how it is, when nothing is wrong
	Err    error  // what is wrong, and what to do; nil for nothing
}

// Examine looks at all of a data directory and changes nothing in it. The daemon may run meanwhile. A ledger of a gigabyte
// takes it a quarter of a minute.
func Examine(ctx context.Context, dir string) []Finding {
	findings := []Finding{examineDirectory(dir)}
	if findings[0].Err != nil {
		return findings
	}
	return append(findings, examineFiles(dir), examineLock(dir), examineWorld(dir), examineLedger(ctx, dir), examineKeys(ctx, dir))
}

func examineDirectory(dir string) Finding {
	f := Finding{What: "data directory"}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Err = fmt.Errorf("%s does not exist yet; the daemon makes it at its first start", dir)
	case err != nil:
		f.Err = withUser(err)
	case !info.IsDir():
		f.Err = fmt.Errorf("%s is not a directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		f.Err = fmt.Errorf("%s has mode %04o: others may read it; run chmod 700", dir, info.Mode().Perm())
	default:
		f.Err = withUser(unix.Access(dir, unix.R_OK|unix.W_OK|unix.X_OK))
		f.Detail = dir
	}
	return f
}

// examineFiles looks whether the files are readable for us alone.
func examineFiles(dir string) Finding {
	f := Finding{What: "modes"}
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.Err = withUser(err)
		return f
	}
	var wide []string
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			wide = append(wide, entry.Name())
		}
	}
	if len(wide) > 0 {
		f.Err = fmt.Errorf("others may read %s; run chmod 600", strings.Join(wide, ", "))
	}
	f.Detail = "nobody else may read the files"
	return f
}

// examineLock tells whether a daemon uses the directory.
func examineLock(dir string) Finding {
	f := Finding{What: "lock", Detail: "no daemon uses it"}
	file, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f
	}
	if err != nil {
		f.Err = withUser(err)
		return f
	}
	defer file.Close()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		f.Detail = "a daemon uses it" + holder(file)
	} else if err != nil {
		f.Err = err
	}
	return f
}

// examineWorld tells which WhatsApp the directory belongs to.
func examineWorld(dir string) Finding {
	f := Finding{What: "belongs to", Detail: "the real WhatsApp"}
	switch _, err := os.Stat(filepath.Join(dir, markFile)); {
	case err == nil:
		f.Detail = "a simulator"
	case !errors.Is(err, fs.ErrNotExist):
		f.Err = withUser(err)
	}
	return f
}

// examineLedger reads the whole ledger.
func examineLedger(ctx context.Context, dir string) Finding {
	f := Finding{What: ledgerFile}
	path := filepath.Join(dir, ledgerFile)
	size := fileSize(path)
	if size < 0 {
		f.Detail = "not there yet"
		return f
	}
	steps, err := readSteps(migrations)
	if err == nil {
		err = checkHead(path)
	}
	var found finding
	if err == nil {
		found, err = inspect(ctx, path, steps, 1<<62)
	}
	if err == nil && found.rows {
		err = errors.New("it has rows that break its own rules; the next start sets them aside")
	}
	f.Err = err
	f.Detail = fmt.Sprintf("sound, schema %d of %d, %d kB", found.version, len(steps), size>>10)
	return f
}

// examineKeys reads all of the keys of the linked device.
func examineKeys(ctx context.Context, dir string) Finding {
	f := Finding{What: whatsappFile}
	path := filepath.Join(dir, whatsappFile)
	if fileSize(path) <= 0 {
		f.Detail = "no keys yet: the phone is to be linked"
		return f
	}
	err := checkHead(path)
	if err == nil {
		err = checkKeys(ctx, path)
	}
	if ledger := filepath.Join(dir, ledgerFile); err == nil && fileSize(ledger) > 0 && checkHead(ledger) == nil {
		pool := openFile(ledger, reading, 1)
		_, err = checkAge(ctx, path, pool)
		err = errors.Join(err, pool.Close())
	}
	if err != nil {
		f.Err = unusable(path, err)
	}
	f.Detail = fmt.Sprintf("sound, %d kB", fileSize(path)>>10)
	return f
}
