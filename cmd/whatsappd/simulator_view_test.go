package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/simulator"
)

func TestChatViewShowsBothSides(t *testing.T) {
	t.Parallel()
	sim := simulator.Start(t)
	require.NoError(t, sim.AddAccount(simulator.AccountSpec{Number: "15550100101", Name: "Ana", Behaviour: simulator.Behaviour{Receipts: "read"}}))
	require.NoError(t, sim.AddAccount(simulator.AccountSpec{Number: "15550100102", Name: "\x1b]0;Ben\a"}))
	id, err := sim.Write(t.Context(), "15550100102", "15550100101", "hello\x1b[2J\nAna")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, sim.WaitQuiet(ctx))
	for read := false; !read; {
		for _, e := range sim.Events(0) {
			read = read || e.Kind == "read"
		}
		if !read {
			_, err := sim.WaitEvents(ctx, len(sim.Events(0)))
			require.NoError(t, err)
		}
	}
	view := func(colour bool) string {
		var lines []string
		v := &chatView{sim: sim, colour: colour}
		for _, e := range sim.Events(0) {
			lines = append(lines, v.line(e))
		}
		return strings.Join(lines, "\n")
	}

	plain := view(false)
	require.Contains(t, plain, `message from=15550100102 to=15550100101 id=`+id+` text="hello\x1b[2J\nAna"`)
	require.Contains(t, plain, `receipt from=15550100101 to=15550100102 kind=read id=`+id)
	require.NotContains(t, plain, "\x1b")

	coloured := view(true)
	for _, code := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[34m"} {
		coloured = strings.ReplaceAll(coloured, code, "")
	}
	require.Regexp(t, `\d\d:\d\d:\d\d  \]0;Ben → Ana +hello\[2J Ana`, coloured)
	require.Regexp(t, `\]0;Ben → Ana +✓✓ read`, coloured)
	require.NotContains(t, coloured, "\x1b", "a name or a text commands the terminal")
}

func TestSimulatorHelpExplainsEveryFlag(t *testing.T) {
	t.Parallel()
	help := func(args ...string) string {
		var out bytes.Buffer
		require.Equal(t, exitDone, run(t.Context(), terminal{out: &out, err: &out}, append(args, "--help")))
		return out.String()
	}
	explained := help("simulator")
	require.Contains(t, explained, "This is not WhatsApp")
	for _, flag := range regexp.MustCompile(`--[a-z]+`).FindAllString(help("simulator", "run"), -1) {
		require.Contains(t, explained, flag)
	}
}

func TestSimulatorShowsItsChatsUnlessItIsQuiet(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		args := []string{"simulator", "--addr", "127.0.0.1:0", "--control", "127.0.0.1:0"}
		if quiet {
			args = append(args, "--quiet")
		}
		p := start(t, "simulator", nil, args...)
		control := simulator.NewClient(p.wants(`control API +(http://\S+)/v1`)[1])
		require.Contains(t, p.output(), "This is not WhatsApp")
		for _, number := range []string{"15550100101", "15550100102"} {
			require.NoError(t, control.AddAccount(t.Context(), simulator.AccountSpec{Number: number}))
		}
		require.NoError(t, control.Write(t.Context(), "15550100101", "15550100102", "hello"))
		_, err := control.WaitInbox(t.Context(), "15550100102", 1)
		require.NoError(t, err)
		if quiet {
			require.NoError(t, p.cmd.Process.Signal(os.Interrupt))
			<-p.exited
			require.NotContains(t, p.output(), "hello")
			continue
		}
		p.wants(`message from=15550100101 to=15550100102 .* text="hello"`)
	}
}
