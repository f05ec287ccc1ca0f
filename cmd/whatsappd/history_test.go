package main

import (
	"database/sql"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

// The history and the queue are larger in make flat.
var (
	historyMegabytes = flag.Int("history", 30, "how large a history the test of the daemon's memory gets")
	queuedTasks      = flag.Int("queued", 400, "how many tasks wait meanwhile")
)

// While a history comes in and tasks wait, the daemon holds less than maxResident: 85 MiB were measured with 5,000 tasks, of which
// 50 are there after the start. The simulator, which makes pieces of four megabytes, holds less than maxMaker: 142 were measured,
// of 30 MB of history. What the daemon keeps takes less than maxKept for each megabyte.
const (
	maxResident = 128 << 20
	maxMaker    = 256 << 20
	maxKept     = 16 << 10
)

func TestAHistoryAndAQueueFitIntoMemory(t *testing.T) {
	t.Parallel()
	const contacts = 20
	w := calmWorld(t, contacts)
	w.account(simulator.AccountSpec{Number: ownerPhone, Name: "Owner", Sync: simulator.Sync{
		AppState: true, Chats: contacts, Messages: 1, Megabytes: *historyMegabytes,
	}})
	delete(w.settings, "WHATSAPPD_PACE_OFF") // tasks wait until the account has settled
	w.serve()
	w.pair()
	idle := w.daemon.peak()
	w.burst(contacts, *queuedTasks/contacts)
	pieces := (*historyMegabytes + 3) / 4
	for deleted, late := 0, time.Now().Add(patience); deleted < pieces; {
		if now := w.counters().MediaDeleted; now > deleted {
			deleted, late = now, time.Now().Add(patience)
		}
		require.True(t, time.Now().Before(late), "of %d pieces %d were read", pieces, deleted)
		w.health("/healthz") // it is there for others
	}
	peak, maker := w.daemon.peak(), w.whatsapp.peak()
	w.daemon.stop()
	size := w.kept()
	fmt.Printf("%d MB of history, %d tasks: at most %.1f MiB resident (%.1f before), %.1f MiB on disk; simulator %.1f MiB\n",
		*historyMegabytes, *queuedTasks, mebibytes(peak), mebibytes(idle), mebibytes(size), mebibytes(maker))
	require.Less(t, peak, maxResident)
	require.Less(t, maker, maxMaker)
	require.Less(t, size, 8<<20+*historyMegabytes*maxKept+*queuedTasks*(8<<10))
	require.Equal(t, contacts+pieces, w.rows("whatsmeow_privacy_tokens"), "there is one with each chat")
	require.GreaterOrEqual(t, w.rows("whatsmeow_lid_map"), contacts+pieces)
	require.Zero(t, w.rows("whatsmeow_message_secrets"))
}

func mebibytes(bytes int) float64 { return float64(bytes) / (1 << 20) }

// peak is the most memory a process ever held.
func (p *process) peak() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	require.NoError(p.t, err)
	line := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(p.t, line)
	kilobytes, err := strconv.Atoi(string(line[1]))
	require.NoError(p.t, err)
	return kilobytes << 10
}

// kept is how large the data directory is.
func (w *world) kept() (size int) {
	w.t.Helper()
	require.NoError(w.t, filepath.WalkDir(w.settings["WHATSAPPD_DATA_DIR"], func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += int(info.Size())
		}
		return err
	}))
	return size
}

// rows counts the rows of one of the library's tables, while the daemon is not there.
func (w *world) rows(table string) (count int) {
	w.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.settings["WHATSAPPD_DATA_DIR"], "whatsapp.db")+"?mode=ro")
	require.NoError(w.t, err)
	defer db.Close()
	require.NoError(w.t, db.QueryRowContext(w.t.Context(), "SELECT count(*) FROM "+table).Scan(&count))
	return count
}
