package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// diskFull fills the disk while clients hand over work. Nothing is accepted by halves, the daemon says that it is not ready, and
// goes on by itself once there is space.
func diskFull(t *trial) {
	v := t.newMemory("8m")
	w := newWorld(t)
	w.settings["WHATSAPPD_DATA_DIR"] = filepath.Join(v.at, "data")
	w.serve()
	w.pair()
	for range t.cycles {
		w.send(contact(0))
		v.fill()
		var err error
		for tries := 0; err == nil; tries++ { // there may be room inside of the log
			t.check(tries < 2000, "a full disk still takes work (%s)", v.used())
			_, err = w.ask(t.ctx, w.message(contact(tries%contacts)))
		}
		t.check(strings.HasPrefix(err.Error(), "503"), "on a full disk /ws answers %v", err)
		t.check(w.postTask() == http.StatusInsufficientStorage, "on a full disk /v1/tasks answers %d", w.postTask())
		t.within(10*time.Second, "/readyz fails", func() bool { return w.health("/readyz") == http.StatusServiceUnavailable })
		t.check(w.health("/healthz") == http.StatusOK, "/healthz fails on a full disk: a restart makes no space")
		v.free()
		took := t.within(30*time.Second, "work is taken again once there is space", func() bool {
			_, err := w.ask(t.ctx, w.message(contact(1)))
			return err == nil
		})
		t.within(10*time.Second, "/readyz is well again", func() bool { return w.health("/readyz") == http.StatusOK })
		t.note("takes work again after %.1f s", took.Seconds())
		t.result.Cycles++
	}
	w.reckon()
	w.daemon.kill()
	w.intact()
}

// postTask hands over a message through /v1 and returns the answer's status.
func (w *world) postTask() int {
	body := fmt.Sprintf(`{"kind":"message","to":"+%s","text":"through v1"}`, contact(2))
	res, err := w.call(w.ctx, http.MethodPost, "/v1/tasks", strings.NewReader(body), "")
	w.must(err, "hand over a task through /v1")
	_ = res.Body.Close()
	return res.StatusCode
}

// diskFullAtWork fills the disk in the middle of work: outcomes, callbacks and WhatsApp's keys cannot be kept. The daemon stays,
// answers reads, does not fill its log, and loses nothing.
func diskFullAtWork(t *trial) {
	v := t.newImage("ext4", "24M")
	w := newWorld(t)
	w.settings["WHATSAPPD_DATA_DIR"] = filepath.Join(v.at, "data")
	w.serve()
	w.pair()
	w.hook.think(200 * time.Millisecond) // so that there are callbacks on their way whenever the disk is full
	daemon := w.daemon
	work := w.load(4, 100*time.Millisecond)
	for range t.cycles {
		t.pause(t.between(time.Second, 2*time.Second))
		v.fill()
		before := complaints(daemon)
		const full = 20 * time.Second
		for begun := time.Now(); time.Since(begun) < full; t.pause(500 * time.Millisecond) {
			t.check(w.health("/healthz") == http.StatusOK && w.get("/v1/tasks?limit=5", &struct{}{}) && w.get("/v1/callbacks?limit=5", &struct{}{}),
				"reads fail on a full disk")
			t.check(daemon.alive(), "the daemon ended:\n%s", daemon.tail())
		}
		lines := complaints(daemon) - before
		t.check(lines < 200, "%d complaints in the log within %s, such as\n%s", lines, full, daemon.tail())
		v.free()
		t.note("%d complaints in the log within %s", lines, full)
		t.result.Cycles++
	}
	t.pause(2 * time.Second)
	work.stop()
	w.reckon()
	t.check(w.daemon == daemon && daemon.alive(), "the daemon ended")
	daemon.kill()
	w.intact()
}

// complaints counts the lines in a daemon's log that tell of more than a request.
func complaints(p *process) int {
	output := p.output()
	return strings.Count(output, "\n") - strings.Count(output, `"msg":"request"`)
}

// readOnly turns the volume read-only under the running daemon, as ext4 does by itself after an error of the disk. Nothing more
// is accepted, the daemon says so and does not run hot; a start on such a volume ends with one clear line.
func readOnly(t *trial) {
	v := t.newImage("ext4", "64M")
	w := newWorld(t)
	w.settings["WHATSAPPD_DATA_DIR"] = filepath.Join(v.at, "data")
	w.serve()
	w.pair()
	work := w.load(2, 50*time.Millisecond)
	t.pause(t.between(time.Second, 2*time.Second))
	v.breakDown()
	t.within(10*time.Second, "work is refused", func() bool {
		_, err := w.ask(t.ctx, w.message(contact(0)))
		return err != nil
	})
	work.stop()
	if w.daemon.alive() {
		t.within(10*time.Second, "/readyz fails", func() bool { return w.health("/readyz") == http.StatusServiceUnavailable })
		const looked = 10 * time.Second
		before := w.daemon.cpu()
		t.pause(looked)
		busy := 100 * (w.daemon.cpu() - before).Seconds() / looked.Seconds()
		t.check(busy <= 5, "the daemon takes %.1f %% of a processor", busy)
		t.note("%.1f %% of a processor", busy)
	} else {
		t.check(w.daemon.cmd.ProcessState.ExitCode() != 0, "the daemon ended with exit code 0")
		t.note("the daemon ended by itself")
	}
	w.daemon.kill()

	v.remount() // its log is played back
	t.must(t.command("mount", "-o", "remount,ro", v.at), "turn the volume read-only")
	w.launch()
	code := w.daemon.wait(5 * time.Second)
	said := w.daemon.output()
	t.check(code != 0 && strings.Contains(said, "read-only") && !strings.Contains(said, "\n"), "a start on a read-only volume ends with %d:\n%s", code, said)
	t.must(t.command("mount", "-o", "remount,rw", v.at), "turn the volume writable")
	w.again()
	w.online()
	t.result.Cycles++
	w.reckon()
}

// breakDown has the kernel find an error in the file system, upon which it makes it read-only.
func (v *volume) breakDown() {
	v.t.must(v.t.command("mount", "-o", "remount,errors=remount-ro", v.at), "choose what an error does")
	triggers, _ := filepath.Glob("/sys/fs/ext4/loop*/trigger_fs_error") // the pattern is valid
	for _, name := range triggers {
		device := filepath.Base(filepath.Dir(name))
		held, err := os.ReadFile("/sys/block/" + device + "/loop/backing_file")
		if err == nil && strings.TrimSpace(string(held)) == v.image {
			v.t.must(os.WriteFile(name, []byte("a fault on purpose"), 0), "break the file system")
			return
		}
	}
	v.t.skip("the kernel has no way to break ext4 on purpose")
}
