package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// cpu is how much processor time a process has used.
func (p *process) cpu() time.Duration {
	const ticks = 100 // a second: USER_HZ of Linux
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	p.t.must(err, "read the processor time of "+p.name)
	_, rest, _ := strings.Cut(string(content), ") ") // behind the name
	fields := strings.Fields(rest)
	var sum int
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		p.t.must(err, "read the processor time of "+p.name)
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks
}

// memory returns a line of a process's memory in MiB: VmRSS now, VmHWM at most.
func (p *process) memory(line string) float64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	p.t.must(err, "read the memory of "+p.name)
	for text := range strings.SplitSeq(string(content), "\n") {
		if rest, ok := strings.CutPrefix(text, line+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			p.t.must(err, "read the memory of "+p.name)
			return float64(kib) / 1024
		}
	}
	p.t.fail("no %s in the memory of %s", line, p.name)
	return 0
}
