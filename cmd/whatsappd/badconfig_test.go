package main

import (
	"encoding/hex"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// offline are the settings of a daemon that can start and reaches nobody.
func offline(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"WHATSAPPD_LISTEN":             "127.0.0.1:0",
		"WHATSAPPD_TOKEN":              testToken,
		"WHATSAPPD_DATA_DIR":           t.TempDir() + "/data",
		"WHATSAPPD_SIMULATOR_ADDR":     closedAddress(t),
		"WHATSAPPD_SIMULATOR_ROOT_KEY": hex.EncodeToString(make([]byte, 32)),
		"WHATSAPPD_LOG_FORMAT":         "json",
	}
}

// refusesToStart runs the daemon with something wrong, and wants it to end by itself with this code and to say why in a line.
func refusesToStart(t *testing.T, code int, says string, env map[string]string, args ...string) {
	t.Helper()
	p := start(t, strings.Join(args, " "), env, args...)
	require.Equal(t, code, p.wait(), p.output())
	lines := strings.Split(strings.TrimPrefix(p.output(), "whatsappd: used wrongly:\n"), "\n")
	lines = strings.Split(strings.TrimSuffix(strings.Join(lines, "\n"), "\nTry \"whatsappd --help\"."), "\n")
	require.Len(t, lines, 1, "%.2000s", p.output())
	require.Contains(t, lines[0], says)
	require.Less(t, len(lines[0]), 600, "the line is too long to be read")
	require.Less(t, p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime(), time.Second, "time at work")
}

// starts runs the daemon and stops it once it listens. It returns what it printed.
func starts(t *testing.T, env map[string]string, args ...string) string {
	t.Helper()
	p := start(t, strings.Join(args, " "), env, args...)
	p.wants(`"msg":"listening"`)
	code, _ := p.stop()
	require.Equal(t, exitDone, code, p.output())
	return p.output()
}

// with is a copy of some settings with one more.
func with(env map[string]string, name, value string) map[string]string {
	env = maps.Clone(env)
	env[name] = value
	return env
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	env := offline(t)
	refused := func(t *testing.T, says string, args ...string) {
		t.Helper()
		refusesToStart(t, exitUsage, says, env, args...)
	}
	set := func(t *testing.T, says string, settings ...string) {
		t.Helper()
		for _, setting := range settings {
			refusesToStart(t, exitUsage, says, env, "serve", "--set", setting)
		}
	}
	t.Run("78 unknown flags and keys", func(t *testing.T) {
		t.Parallel()
		refused(t, `did you mean "--listen"?`, "serve", "--lisen", "x")
		refused(t, `did you mean "serve"?`, "srve")
		refused(t, "unexpected argument", "serve", "now")
		set(t, "did you mean log.level?", "log.levle=info")
		set(t, "there is no such setting", "canary=1", "=1", "log=info")
		refusesToStart(t, exitUsage, "did you mean WHATSAPPD_LOG_LEVEL?", with(env, "WHATSAPPD_LOG_LEVLE", "info"), "serve")
	})
	t.Run("79 config files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		file := func(name, text string) string {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			return path
		}
		bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
		for i := range 30 {
			bomb += strings.ReplaceAll("aN: &aN [*aM,*aM,*aM,*aM,*aM,*aM]\n", "N", string(rune('b'+i)))
		}
		bomb = strings.ReplaceAll(bomb, "*aM", "*a0")
		for text, says := range map[string]string{
			"listen: 127.0.0.1:0\nlisten: 127.0.0.1:0\n": "listen (" + dir + "/bad.yaml line 2): stands there twice",
			"tsak: 1\n":                        "there is no such setting",
			"\x00\x01\xff\xfe":                 "must be YAML",
			"log:\n\tlevel: warn\n":            "must be YAML",
			"a: " + strings.Repeat("[", 20000): "must be YAML",
			"a: " + strings.Repeat("{a: ", 5000) + "1" + strings.Repeat("}", 5000): "groups hold no groups",
			"task: &t {max_age: 1m}\n<<: *t\n":                                     "without anchors",
			"listen: [a, b]\n":                                                     "must be one value, not a list",
			"- listen\n":                                                           `must be lines of the form "key: value"`,
			strings.Repeat("a", 2<<20):                                             "larger than 1 MiB",
		} {
			refused(t, says, "serve", "--config", file("bad.yaml", text))
		}
		p := start(t, "bomb", env, "serve", "--config", file("bomb.yaml", bomb))
		require.Equal(t, exitUsage, p.wait())
		require.Less(t, len(p.output()), 10000, "a line for each key")

		huge := file("huge.yaml", "")
		require.NoError(t, os.Truncate(huge, 100<<20))
		refused(t, "larger than 1 MiB", "serve", "--config", huge)
		refused(t, "larger than 1 MiB", "serve", "--config", "/dev/zero")
		refused(t, "is a directory", "serve", "--config", dir)
		refused(t, "no such file", "serve", "--config", dir+"/absent.yaml")
		refused(t, "not a directory", "serve", "--config", huge+"/x.yaml")
		if os.Geteuid() != 0 { // who reads everything
			require.NoError(t, os.Chmod(huge, 0))
			refused(t, "permission denied", "serve", "--config", huge)
		}
		for _, text := range []string{"", "# nothing\n", "---\n", "\xef\xbb\xbfdevice:\n  name: office\n", "device:\r\n  name: office\r\n"} {
			output, code := whatsappd(t, env, "--config", file("good.yaml", text), "config", "print")
			require.Zero(t, code, output)
			require.Equal(t, strings.Contains(text, "office"), strings.Contains(output, "name: office"))
		}
	})
	t.Run("80 where to listen", func(t *testing.T) {
		t.Parallel()
		for _, address := range []string{"127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1", "[::1]", "unix:/run/whatsappd.sock", "/run/whatsappd.sock", "a b:80", ""} {
			set(t, "must be host:port with a port from 0 to 65535", "listen="+address)
		}
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer taken.Close()
		refusesToStart(t, exitFailed, "address already in use", with(env, "WHATSAPPD_LISTEN", taken.Addr().String()), "serve")
		for _, address := range []string{"203.0.113.9:0", "[2001:db8::9]:0"} {
			refusesToStart(t, exitFailed, "cannot assign requested address", with(env, "WHATSAPPD_LISTEN", address), "serve")
		}
		require.Regexp(t, `"address":"127.0.0.1:[1-9][0-9]*"`, starts(t, with(env, "WHATSAPPD_DATA_DIR", t.TempDir()), "serve"), "the port that was chosen is told")
	})
	t.Run("81 durations and sizes", func(t *testing.T) {
		t.Parallel()
		for _, value := range []string{"0", "-1s", "5", "1000000h", "99999999999h", "NaN", "1d", "1 h", "1e3s", ""} {
			set(t, "must be a duration above zero with its unit, such as 90s, 10m or 168h", "task.max_age="+value)
		}
		set(t, "or 0 to turn it off", "check.cache_positive=-1s", "check.cache_negative=1000000h")
		for _, value := range []string{"-1", "99999999999999999999", "1.5", "1e3", "many", "0x10", ""} {
			set(t, "must be a whole number from", "pace.per_day="+value)
		}
	})
	t.Run("82 tokens", func(t *testing.T) {
		t.Parallel()
		bare := maps.Clone(env)
		delete(bare, "WHATSAPPD_TOKEN")
		refusesToStart(t, exitUsage, "there is no token", bare, "serve")
		refusesToStart(t, exitUsage, "there is no token", with(bare, "WHATSAPPD_TOKEN", " , "), "serve")
		for token, says := range map[string]string{
			"short": "at least 20 characters", "change-me-change-me-change-me": "placeholder", "xxxxxxxxxxxxxxxxxxxxxxxx": "placeholder",
			"twelve-chars\ntwelve-chars": "must not contain blanks", testToken + ",short": "at least 20 characters",
		} {
			refusesToStart(t, exitUsage, says, with(bare, "WHATSAPPD_TOKEN", token), "serve")
		}
		path := filepath.Join(t.TempDir(), "token")
		fromFile := with(with(bare, "WHATSAPPD_TOKEN_FILE", path), "WHATSAPPD_DATA_DIR", t.TempDir())
		refusesToStart(t, exitUsage, "does not exist", fromFile, "serve")
		for text, says := range map[string]string{"": "must not be empty", "\n": "must not be empty", "short\n": "at least 20 characters", "twelve-chars\ntwelve-chars\n": "must not contain blanks"} {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			refusesToStart(t, exitUsage, says, fromFile, "serve")
		}
		require.NoError(t, os.WriteFile(path, []byte(testToken+"\r\n"), 0o600))
		starts(t, fromFile, "serve")
	})
	t.Run("83 Slack", func(t *testing.T) {
		t.Parallel()
		set(t, "must be the token of a bot or a user, which begins with xoxb-", "slack.token=xapp-1-A-1", "slack.token=https://hooks.slack.com/services/T/B/x", "slack.token=canary")
		set(t, "must be printable ASCII without blanks", "slack.token=xoxb-1 2", "slack.token= xoxb-1", "slack.token=xoxb-ü")
		set(t, "slack.channel (--set slack.channel): must not be empty", "slack.channel=", "slack.channel= ")
	})
	t.Run("84 allowed addresses", func(t *testing.T) {
		t.Parallel()
		set(t, "the network is 10.0.0.0/8", "callback.allow=10.0.0.1/8")
		for _, entry := range []string{"10.0.0.0/33", "http://host/", "host:0", "host:99999", "a b", "*", "::/129", "10.0.0.0/-1", "a:b:c", "256.0.0.1"} {
			set(t, "write a host, host:port, an address or a network", "callback.allow="+entry)
		}
		output := starts(t, with(with(env, "WHATSAPPD_DATA_DIR", t.TempDir()), "WHATSAPPD_CALLBACK_ALLOW", "0.0.0.0/0, ::/0, foo"), "serve")
		require.Contains(t, output, `"level":"WARN"`)
		require.Contains(t, output, "0.0.0.0/0")
		require.Contains(t, output, "foo")
	})
}

func TestBadEnvironments(t *testing.T) {
	t.Parallel()
	for name, odd := range map[string]map[string]string{
		"86 odd time zone":            {"TZ": "Mars/Olympus_Mons"},
		"86 file as time zone":        {"TZ": "/etc/passwd"},
		"86 no language":              {"LANG": "C", "LC_ALL": "C"},
		"86 no home":                  {"HOME": ""},
		"86 no temporary directory":   {"TMPDIR": "/nonexistent", "SQLITE_TMPDIR": "/nonexistent"},
		"86 proxies of others":        {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "::::", "NO_PROXY": "*"},
		"86 variables of the runtime": {"GODEBUG": "nonsense=1", "GOGC": "abc", "GOTRACEBACK": "crash"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := offline(t)
			maps.Copy(env, odd)
			require.NotContains(t, starts(t, env, "serve"), "panic")
		})
	}
	for name, script := range map[string]string{
		"86 umask of nothing":      `umask 000; exec "$0" serve`,
		"86 standard input closed": `exec "$0" serve <&-`,
		"86 output full":           `exec "$0" serve >/dev/full 2>/dev/full`,
		"86 output closed":         `exec "$0" serve >&- 2>&-`,
		"86 few handles":           `ulimit -n 64; exec "$0" serve`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := with(offline(t), "WHATSAPPD_LISTEN", closedAddress(t))
			program, err := binary()
			require.NoError(t, err)
			daemon := exec.CommandContext(t.Context(), "/bin/sh", "-c", script, program)
			daemon.Env = []string{"PATH=/nonexistent"}
			for name, value := range env {
				daemon.Env = append(daemon.Env, name+"="+value)
			}
			require.NoError(t, daemon.Start())
			require.Eventually(t, func() bool {
				_, code := whatsappd(t, env, "healthcheck")
				return code == exitDone
			}, patience, 50*time.Millisecond, "the daemon is alive")
			for _, file := range []string{"ledger.db", "whatsapp.db"} {
				info, err := os.Stat(filepath.Join(env["WHATSAPPD_DATA_DIR"], file))
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
			}
			require.NoError(t, daemon.Process.Signal(syscall.SIGTERM))
			require.NoError(t, daemon.Wait())
		})
	}
}
