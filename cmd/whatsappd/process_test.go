package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	flag.Parse()
	beHostile()
	code := m.Run()
	tellMischief()
	_ = os.RemoveAll(buildDir) // in the system's temporary directory, if at all
	os.Exit(code)
}

// buildDir is where the program under test is, empty while it is not built.
var buildDir string

// binary is the program under test, built once for all end-to-end tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "whatsappd-test-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "whatsappd")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// patience bounds every wait of an end-to-end test. A wait ends with its event; the bound only names what never came. On a
// bad network it is longer.
var patience = 60 * time.Second

// process is a running whatsappd.
type process struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	exited chan struct{} // closed when it ended
	err    error         // how, once exited is closed

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at every line
}

// start runs the program with these settings as its whole environment, in a directory of its own.
func start(t testing.TB, name string, env map[string]string, args ...string) *process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	return launch(t, name, env, exec.Command(path, args...))
}

// launch is start for a command that runs the program in its own way.
func launch(t testing.TB, name string, env map[string]string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: cmd, exited: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = []string{"PATH=/nonexistent", "HOME=" + p.cmd.Dir}
	for key, value := range env {
		p.cmd.Env = append(p.cmd.Env, key+"="+value)
	}
	output, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.cmd.Stderr = p.cmd.Stdout
	require.NoError(t, p.cmd.Start())
	go p.read(output)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if slices.Contains(cmd.Args, "serve") {
			p.discreet(env)
		}
		if t.Failed() || *hostileLevel > 0 && testing.Verbose() {
			t.Logf("output of %s:\n%s", name, p.output())
		}
	})
	return p
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
	p.err = p.cmd.Wait()
	close(p.exited)
}

// output returns everything the process has printed so far.
func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// wants waits for a line that matches and returns its groups.
func (p *process) wants(pattern string) []string {
	p.t.Helper()
	wanted := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for seen := 0; ; {
		p.mu.Lock()
		lines, more := p.lines[seen:], p.more
		seen = len(p.lines)
		p.mu.Unlock()
		for _, line := range lines {
			if groups := wanted.FindStringSubmatch(line); groups != nil {
				return groups
			}
		}
		select {
		case <-more:
		case <-p.exited:
			if p.ended(seen) {
				p.t.Fatalf("%s ended (%v) without printing %q:\n%s", p.name, p.err, pattern, p.output())
			}
		case <-deadline:
			p.t.Fatalf("%s did not print %q:\n%s", p.name, pattern, p.output())
		}
	}
}

// ended reports whether all output has been seen.
func (p *process) ended(seen int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return seen == len(p.lines)
}

// kill ends the process as a crash does.
func (p *process) kill() {
	require.NoError(p.t, p.cmd.Process.Kill())
	<-p.exited
}

// stop asks the process to end and returns its exit code and how long it took.
func (p *process) stop() (code int, took time.Duration) {
	p.t.Helper()
	begun := time.Now()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.wait(), time.Since(begun)
}

// wait waits for the process to end by itself and returns its exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s did not end:\n%s", p.name, p.output())
		return -1
	}
}

// whatsappd runs a command to its end and returns its output and exit code.
func whatsappd(t testing.TB, env map[string]string, args ...string) (string, int) {
	t.Helper()
	p := start(t, "whatsappd "+strings.Join(args, " "), env, args...)
	code := p.wait()
	return p.output(), code
}
