package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"whatsappd/simulator"
)

// littleMemory gives the daemon 64 MiB, thousands of messages that wait, and a history of 30 MB. It is not killed for memory.
func littleMemory(t *trial) {
	tasks := 500
	if t.long {
		tasks = 5000
	}
	w := newWorld(t)
	w.account(simulator.AccountSpec{Number: owner, Name: "Owner", Sync: simulator.Sync{AppState: true, Chats: 20, Messages: 50, Megabytes: 30}})
	w.serve()
	group := t.confine(w.daemon, 64<<20)
	w.pair()
	w.faults(simulator.Fault{At: "connect", Do: "drop"})
	w.must(w.sim.Kick(t.ctx, owner, simulator.KickDrop), "cut the connection")
	for i := range tasks {
		w.send(contact(i % contacts))
	}
	w.heal()
	w.patience = 5 * time.Minute
	w.reckon()
	t.check(w.daemon.alive(), "the daemon was killed")
	t.note("%.0f MiB at most, limited by %s", w.daemon.memory("VmHWM"), group)
	t.result.Cycles++
}

// confine limits the memory of a process by a control group of its own, of either version.
func (t *trial) confine(p *process, bytes int) (version string) {
	for root, limit := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || os.Getuid() != 0 {
			continue // not of this version
		}
		group := filepath.Join(root, fmt.Sprintf("whatsappd-faults-%d", os.Getpid()))
		if os.Mkdir(group, 0o700) != nil {
			continue
		}
		t.cleanup(func() { // the last that is in it ends a moment before it can be removed
			for range 100 {
				if os.Remove(group) == nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		t.cleanup(p.kill)
		if change(filepath.Join(group, limit), bytes) == nil && change(filepath.Join(group, "cgroup.procs"), p.cmd.Process.Pid) == nil {
			return limit
		}
	}
	t.skip("needs control groups for memory that this user may make")
	return ""
}

// change writes a number into a file of a control group.
func change(path string, to int) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(file, to)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}
