package main

import (
	"bufio"
	"flag"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memoryMessages is larger in make flat.
var memoryMessages = flag.Int("messages", 400, "how many messages the test of the daemon's memory sends")

// figures reads what the daemon says of itself.
func (w *world) figures() map[string]float64 {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.base+"/metrics", nil)
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "Bearer "+testToken)
	res, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer res.Body.Close()
	figures := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			figures[name] = value
		}
	}
	return figures
}

func TestMessagesLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	const contacts = 20
	w := calmWorld(t, contacts)
	w.serve()
	w.pair()
	sent := 0
	send := func(count int) {
		for range count / contacts {
			ids := w.burst(contacts, 1)
			for _, id := range ids {
				w.hook.result(id, "True")
			}
			sent += len(ids)
		}
	}
	send(400) // the library keeps the last 256 messages
	before := w.figures()
	began := time.Now()
	send(*memoryMessages)
	took := time.Since(began)
	after := w.figures()
	const goroutines, files, heap = "go_goroutines", "process_open_fds", "go_memstats_next_gc_bytes"
	for _, name := range []string{goroutines, files, heap} {
		require.NotZero(t, before[name], name)
		if *memoryMessages >= 5000 {
			fmt.Printf("%s: %.0f before, %.0f after %d more messages in %s\n", name, before[name], after[name], *memoryMessages, took.Round(time.Second))
		}
	}
	require.LessOrEqual(t, after[goroutines], before[goroutines]+20)
	require.LessOrEqual(t, after[files], before[files]+10)
	require.LessOrEqual(t, after[heap], before[heap]+16<<20) // twice of what is in use, at the last collection
}
