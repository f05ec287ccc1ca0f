package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience bounds every wait for an event. It only names what never came.
const patience = 90 * time.Second

// listening is the line in which a daemon tells its address.
const listening = `"msg":"listening","address":"([^"]+)"`

// process is a running daemon, simulator or bare handler.
type process struct {
	name   string
	cmd    *exec.Cmd
	begun  time.Time
	exited chan struct{}

	mu    sync.Mutex
	lines []string // the first ones and the last ones
	more  chan struct{}
}

// keepHandles has the processes that are started get none of the handles that this one got from whoever started it: they would
// count as theirs.
func keepHandles() error {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range all {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > int(os.Stderr.Fd()) {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}

// start runs a program with these settings as its whole environment.
func start(name, dir, program string, env map[string]string, args ...string) (*process, error) {
	p := &process{name: name, cmd: exec.Command(program, args...), exited: make(chan struct{}), more: make(chan struct{})} //nolint:noctx // it is ended by who started it
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Dir = dir
	p.cmd.Env = []string{"PATH=/nonexistent", "HOME=" + dir}
	for key, value := range env {
		p.cmd.Env = append(p.cmd.Env, key+"="+value)
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stderr = p.cmd.Stdout
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.read(output)
	return p, nil
}

func (p *process) read(output io.Reader) {
	const kept = 100
	scanner := bufio.NewScanner(output)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		p.mu.Lock()
		if len(p.lines) == 2*kept {
			p.lines = append(p.lines[:kept], p.lines[kept+1:]...)
		}
		p.lines = append(p.lines, scanner.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // its state is asked for
	close(p.exited)
}

// prints waits for one of the first lines to match and returns its group.
func (p *process) prints(pattern string) (string, error) {
	wanted := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		lines, more := p.lines, p.more
		p.mu.Unlock()
		for _, line := range lines {
			if groups := wanted.FindStringSubmatch(line); groups != nil {
				return groups[1], nil
			}
		}
		select {
		case <-more:
		case <-p.exited:
			return "", p.failed("ended")
		case <-deadline:
			return "", p.failed("did not say " + pattern)
		}
	}
}

func (p *process) failed(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%s %s:\n%s", p.name, what, strings.Join(p.lines[max(0, len(p.lines)-20):], "\n"))
}

// alive reports whether the process has not ended.
func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// stop asks the process to end and returns how long it took; another exit code than 0 is an error.
func (p *process) stop() (time.Duration, error) {
	begun := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		return 0, p.failed("did not end")
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return 0, p.failed(fmt.Sprintf("ended with %d", code))
	}
	return time.Since(begun), nil
}

// kill ends the process as a crash does. It may have ended before.
func (p *process) kill() {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// memory is a line of the process's memory in bytes: VmRSS now, VmHWM at most.
func (p *process) memory(line string) (float64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for text := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(text, line+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", p.name, line)
}

// cpu is how much processor time the process has used.
func (p *process) cpu() (time.Duration, error) {
	const ticks = 100 // a second: USER_HZ of Linux
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(content), ") ") // behind the name
	var sum int
	for _, field := range strings.Fields(rest)[11:13] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// handles is how many files and connections the process has open.
func (p *process) handles() (int, error) {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	return len(all), err
}
