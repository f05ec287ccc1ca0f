package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"whatsappd/callback"
	"whatsappd/task"
)

// Some tests need another process: this test program again, told by its environment what to be.
const (
	roleVariable = "STORE_TEST_ROLE"
	dirVariable  = "STORE_TEST_DIR"
)

func TestMain(m *testing.M) {
	role := map[string]func(ctx context.Context, dir string) error{
		"open": beOpener, "work": beWorker, "limited": beLimited,
	}[os.Getenv(roleVariable)]
	if role == nil {
		goleak.VerifyTestMain(m)
		return
	}
	if err := role(context.Background(), os.Getenv(dirVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func command(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir)
	return cmd
}

// beOpener opens the directory and leaves.
func beOpener(ctx context.Context, dir string) error {
	db, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	return db.Close()
}

func TestAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := openDB(t, dir)
	text, err := command(t, "open", dir).CombinedOutput()
	require.Error(t, err)
	require.Equal(t, fmt.Sprintf("data directory %s: another whatsappd is using it (process %d); stop it, or choose another data_dir\n",
		dir, os.Getpid()), string(text))
	require.NoError(t, db.Close())
	text, err = command(t, "open", dir).CombinedOutput()
	require.NoError(t, err, string(text))
}

// beWorker accepts checks, works them and prints a line for each change after its commit, until it is killed.
func beWorker(ctx context.Context, dir string) error {
	db, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	tell := func(what string, id task.ID) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(what, id)
	}
	work := func() error {
		accepted, err := db.Accept(ctx, task.New{Account: account, Kind: task.Check, ReturnURL: "http://host/cb"}, time.Now())
		if err != nil {
			return err
		}
		tell("accepted", accepted.ID)
		claimed, err := db.Claim(ctx, account, task.ClassCheck, time.Now(), 1)
		if err != nil || len(claimed) == 0 {
			return err
		}
		end := task.Finished{Task: claimed[0], Callback: &task.Callback{URL: "http://host/cb", Body: []byte(`{}`)}}
		end.Task.State, end.Task.Verdict, end.Task.Finished = task.Done, task.Yes, time.Now()
		if err := db.Finish(ctx, []task.Finished{end}); err != nil {
			return err
		}
		tell("finished", end.Task.ID)
		return nil
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				if err := work(); err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		cmd := command(t, "work", dir)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = t.Output()
		require.NoError(t, cmd.Start())
		accepted, finished := map[task.ID]bool{}, map[task.ID]bool{}
		lines := bufio.NewScanner(out)
		for lines.Scan() { // what was printed before the kill is read to its end
			what, id, whole := strings.Cut(lines.Text(), " ")
			if !whole || len(id) != 36 {
				break // cut off by the kill
			}
			map[string]map[task.ID]bool{"accepted": accepted, "finished": finished}[what][task.ID(id)] = true
			if len(accepted) == 200+37*round {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		require.ErrorContains(t, cmd.Wait(), "killed")
		require.NotEmpty(t, finished)
		survivors(t, dir, accepted, finished)
	}
}

// survivors checks a ledger after a kill against what its process has acknowledged.
func survivors(t *testing.T, dir string, accepted, finished map[task.ID]bool) {
	t.Helper()
	db := openDB(t, dir)
	defer func() { require.NoError(t, db.Close()) }()
	states := map[task.ID]task.State{}
	done := 0
	for _, k := range mustList(t, db) {
		states[k.ID] = k.State
		if k.State == task.Done {
			done++
		}
	}
	for id := range accepted {
		require.Contains(t, states, id)
	}
	for id := range finished {
		require.Equal(t, task.Done, states[id])
	}
	deliveries, err := db.Deliveries(t.Context(), "", "", 100_000)
	require.NoError(t, err)
	require.Len(t, deliveries, done, "each end has its callback")
	for _, d := range deliveries {
		require.Equal(t, callback.Due, d.State)
		require.Equal(t, task.Done, states[d.TaskID])
	}
	var verdict string
	require.NoError(t, db.reads.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&verdict))
	require.Equal(t, "ok", verdict)
	_, err = db.Recover(t.Context())
	require.NoError(t, err)
	counts, err := db.Counts(t.Context())
	require.NoError(t, err)
	require.Zero(t, counts[task.Running])
}

// beLimited lets the operating system refuse writes in the middle of the work, in a process of its own because the limit is
// one of the process, and checks what is left.
func beLimited(ctx context.Context, dir string) error {
	signal.Ignore(syscall.SIGXFSZ) // the write fails instead
	db, err := Open(ctx, dir, Options{})
	if err != nil {
		return err
	}
	known, refused, err := acceptUntilRefused(ctx, db)
	if err != nil {
		return err
	}
	if len(known) == 0 || refused == 0 {
		return fmt.Errorf("accepted %d, refused %d: the limit was not met", len(known), refused)
	}
	accepted, err := db.Accept(ctx, task.New{Account: account, Kind: task.Check}, time.Now())
	if err != nil {
		return fmt.Errorf("after the limit is gone: %w", err)
	}
	known[accepted.ID] = true
	if err := db.Close(); err != nil {
		return err
	}
	if db, err = Open(ctx, dir, Options{}); err != nil {
		return err
	}
	kept, err := db.List(ctx, "", 0, 100_000)
	if err != nil {
		return err
	}
	for _, k := range kept {
		if !known[k.ID] {
			err = errors.Join(err, fmt.Errorf("task %s was kept but not acknowledged", k.ID))
		}
		delete(known, k.ID)
	}
	for id := range known {
		err = errors.Join(err, fmt.Errorf("task %s was acknowledged but not kept", id))
	}
	return errors.Join(err, db.Close())
}

// acceptUntilRefused forbids files above 300 kB, accepts from several callers until the first refusal of each, and lifts the
// limit again.
func acceptUntilRefused(ctx context.Context, db *DB) (known map[task.ID]bool, refused int, err error) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		return nil, 0, err
	}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 300_000, Max: before.Max}); err != nil {
		return nil, 0, err
	}
	known = map[task.ID]bool{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 1000 {
				accepted, err := db.Accept(ctx, task.New{Account: account, Kind: task.Check, Text: strings.Repeat("x", 3000)}, time.Now())
				mu.Lock()
				if err == nil {
					known[accepted.ID] = true
				} else {
					refused++
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return known, refused, unix.Setrlimit(unix.RLIMIT_FSIZE, &before)
}

func TestWritesThatTheSystemRefusesLoseNothing(t *testing.T) {
	t.Parallel()
	text, err := command(t, "limited", t.TempDir()).CombinedOutput()
	require.NoError(t, err, string(text))
}
