package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running whatsappd: the daemon or the simulator.
type process struct {
	t      *trial
	name   string
	cmd    *exec.Cmd
	begun  time.Time
	exited chan struct{} // closed when it ended

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at every line
}

// start runs the program with these settings as its whole environment. It ends with the trial.
func (t *trial) start(name string, env map[string]string, args ...string) *process {
	p, err := t.startAs(&syscall.SysProcAttr{}, name, env, args...)
	t.must(err, "start "+name)
	return p
}

// startAs is start with a user or limits of its own.
func (t *trial) startAs(attributes *syscall.SysProcAttr, name string, env map[string]string, args ...string) (*process, error) {
	p := &process{t: t, name: name, cmd: exec.Command(t.binary, args...), exited: make(chan struct{}), more: make(chan struct{})} //nolint:noctx // it is killed by the trial, at the moment the trial chooses
	attributes.Pdeathsig = syscall.SIGKILL
	p.cmd.SysProcAttr = attributes
	p.cmd.Dir = t.dir
	p.cmd.Env = []string{"PATH=/nonexistent", "HOME=" + t.dir}
	for key, value := range env {
		p.cmd.Env = append(p.cmd.Env, key+"="+value)
	}
	output, err := p.cmd.StdoutPipe()
	t.must(err, name)
	p.cmd.Stderr = p.cmd.Stdout
	p.begun = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.read(output)
	t.cleanup(p.kill)
	return p, nil
}

func (p *process) read(output io.Reader) {
	scanner := bufio.NewScanner(output)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, scanner.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_ = p.cmd.Wait() // its state is asked for
	close(p.exited)
}

// output returns what the process printed so far.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// contains reports whether a text is in the output.
func (p *process) contains(text string) bool { return strings.Contains(p.output(), text) }

// tail returns the last lines of the output, for a failure's text.
func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines[max(0, len(p.lines)-20):], "\n")
}

// wants waits for a line that matches and returns its groups.
func (p *process) wants(pattern string) []string {
	groups, ok := p.prints(pattern, patience)
	p.t.check(ok, "%s did not print %q:\n%s", p.name, pattern, p.tail())
	return groups
}

// prints waits for a line that matches, until the process ends or the time is over.
func (p *process) prints(pattern string, limit time.Duration) ([]string, bool) {
	wanted := regexp.MustCompile(pattern)
	deadline := time.After(limit)
	for seen, last := 0, false; ; {
		p.mu.Lock()
		lines, more := p.lines[seen:], p.more
		seen = len(p.lines)
		p.mu.Unlock()
		for _, line := range lines {
			if groups := wanted.FindStringSubmatch(line); groups != nil {
				return groups, true
			}
		}
		if last {
			return nil, false
		}
		select {
		case <-more:
		case <-p.exited: // all lines are there now
			last = true
		case <-deadline:
			return nil, false
		}
	}
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

// kill ends the process as a crash does. It may have ended before.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// signal sends the process a signal.
func (p *process) signal(s syscall.Signal) {
	p.t.must(p.cmd.Process.Signal(s), fmt.Sprintf("send %s to %s", s, p.name))
}

// stop asks the process to end and returns its exit code and how long it took.
func (p *process) stop() (code int, took time.Duration) {
	begun := time.Now()
	p.signal(syscall.SIGTERM)
	return p.wait(patience), time.Since(begun)
}

// wait waits for the process to end by itself and returns its exit code.
func (p *process) wait(limit time.Duration) int {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.fail("%s did not end within %s:\n%s", p.name, limit, p.tail())
		return -1
	}
}
