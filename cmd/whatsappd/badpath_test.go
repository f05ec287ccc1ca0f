package main

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBadPaths(t *testing.T) { //nolint:tparallel // one daemon, and a log that is read at the end
	t.Parallel()
	d := newDoor(t, 1)
	host := d.hook.address()
	phone := contact(1)
	back := d.back()
	message := func(text string) string { return "/ws/message/" + phone + "/" + text + "/" + back }
	check := func(phone, back string) string { return "/ws/check/" + phone + "/" + back }

	t.Run("1 return URL as it stands", func(t *testing.T) {
		for before, result := range map[string]string{
			"/ws/check/" + phone + "/":         notLoggedIn,
			"/ws/message/" + phone + "/hello/": notLoggedIn,
			"/ws/login/":                       "Please scan qr code",
		} {
			for _, spelling := range []string{back, "http://" + host + "/canary", "http:/" + host + "/canary"} {
				id := d.taken(t, before+spelling)
				require.Equal(t, result, d.hook.wants(id).Result)
				require.Equal(t, "/canary", d.hook.wants(id).Path)
			}
		}
		for _, spelling := range []string{back, "http://" + host + "/canary", "http:/" + host + "/canary"} {
			d.hook.result(d.taken(t, "/ws/logout/"+spelling), "Currently not logged into any account")
		}
	})

	d.hook.result(d.taken(t, "/ws/login/"+back), "Please scan qr code")
	d.pair()

	t.Run("2 query that was not escaped", func(t *testing.T) {
		for _, before := range []string{"/ws/check/" + phone + "/", "/ws/message/" + phone + "/hello/", "/ws/login/"} {
			id := d.taken(t, before+"http://"+host+"/canary?x=1&y=2")
			require.Equal(t, "x=1&y=2", d.hook.wants(id).Query)
		}
		id := d.taken(t, check(phone, back+"%3Fx%3D1?y=2"))
		require.Equal(t, "x=1&y=2", d.hook.wants(id).Query)
		require.Equal(t, []string{"hello"}, texts(d.inbox(phone, 1)))
	})
	t.Run("3 query and fragment", func(t *testing.T) {
		id := d.taken(t, check(phone, back+"%3Fx%3D1"))
		require.Equal(t, "x=1", d.hook.wants(id).Query)
		d.refused(t, "fragment", check(phone, back+"%3Fx%3D1%23frag"), check(phone, back+"%23"))
	})
	t.Run("4 plus before the phone", func(t *testing.T) {
		for _, written := range []string{"%2B" + phone, "+" + phone} {
			id := d.taken(t, check(written, back))
			d.hook.result(id, "True")
			require.Equal(t, phone, d.task(id).Number)
		}
		d.refused(t, "phone", check("%20"+phone, back))
	})
	t.Run("5 slash in the phone", func(t *testing.T) {
		d.refused(t, "phone", check("1%2F2", back), check(phone+"%2F2", back))
	})

	shown := len(d.inbox(phone, 0))
	arrives := func(t *testing.T, segment, text string) {
		t.Helper()
		id := d.taken(t, message(segment))
		d.hook.result(id, "True")
		require.Equal(t, "/canary", d.hook.wants(id).Path)
		shown++
		got := d.inbox(phone, shown)[shown-1].Text
		require.True(t, text == got, "sent %.200q, arrived %.200q", text, got)
	}
	t.Run("6 escaped URL in the message", func(t *testing.T) {
		arrives(t, "a%2Fhttp%3A%2F%2Fevil", "a/http://evil")
		arrives(t, "a%2Fhttp:%2F%2Fevil%2F|", "a/http://evil/|")
		arrives(t, "a%2Fhttp:%2F%2Fevil%2F\"ü", "a/http://evil/\"ü")
	})
	t.Run("7 slash in the message", func(t *testing.T) {
		d.refused(t, "return URL", message("a/b"), message("a/http:b"))
	})
	t.Run("8 escape of an escape", func(t *testing.T) { arrives(t, "%252F", "%2F") })
	t.Run("9 plus and blank", func(t *testing.T) { arrives(t, "a%20b+c", "a b+c") })
	t.Run("10 broken escape", func(t *testing.T) {
		d.bare(t, http.StatusBadRequest, bareCall(message("%zz")), bareCall(message("%")), bareCall(message("%2")))
	})
	t.Run("11 NUL", func(t *testing.T) { d.refused(t, "NUL", message("%00x"), message("x%00")) })
	t.Run("12 bytes that are not UTF-8", func(t *testing.T) { d.refused(t, "UTF-8", message("%ff%fe"), message("a%C3")) })
	t.Run("13 lone surrogate", func(t *testing.T) { d.refused(t, "UTF-8", message("%ED%A0%80")) })
	t.Run("14 blank message", func(t *testing.T) {
		d.refused(t, "empty", message(""), message("%20%20"), message("%0A%09"), message("%C2%A0"))
	})
	t.Run("15 dots", func(t *testing.T) {
		arrives(t, "..", "..")
		arrives(t, "%2e%2e", "..")
		arrives(t, ".", ".")
	})
	t.Run("16 question mark in the message", func(t *testing.T) {
		d.refused(t, "return URL is missing", message("what?"), message("a?b"))
	})
	t.Run("17 hash in the message", func(t *testing.T) {
		arrives(t, "a%23b", "a#b")
		d.refused(t, "%23", message("a#b"), message("#"))
	})
	t.Run("18 length of the message", func(t *testing.T) {
		arrives(t, strings.Repeat("%F0%9F%98%80", 65536), strings.Repeat("😀", 65536))
		arrives(t, strings.Repeat("a", 65536), strings.Repeat("a", 65536))
		for _, char := range []string{"a", "%F0%9F%98%80"} {
			d.refused(t, "65536 characters (262144 bytes)", message(strings.Repeat(char, 65537)))
		}
	})
	t.Run("19 path beyond the limit", func(t *testing.T) {
		long := bareCall(message(strings.Repeat("a", 1_200_000)))
		d.bare(t, http.StatusRequestHeaderFieldsTooLarge, long)
		before := d.rss()
		for range 40 { // 46 MiB
			d.bare(t, http.StatusRequestHeaderFieldsTooLarge, long)
		}
		require.Less(t, d.rss(), before+10<<10, "KiB of resident memory; it was %d before", before)
	})
	t.Run("20 marks and joiners", func(t *testing.T) {
		for _, text := range []string{
			"👩‍👩‍👧‍👦🏳️‍🌈", "\u202egnp.exe", "a" + strings.Repeat("\u0301", 1000), "\ufefftext", "\u2066\u2069", "e\u0301 is not \u00e9",
		} {
			arrives(t, escapeAll(text), text)
		}
	})
	t.Run("21 line breaks and terminal escapes", func(t *testing.T) {
		arrives(t, "a%0D%0Ab%1B%5B31mred%07", "a\r\nb\x1b[31mred\x07")
	})
	t.Run("22 text that looks like code", func(t *testing.T) {
		for _, text := range []string{
			`{"task_id":"1","result":"True"}`, `'); DROP TABLE tasks;--`, `<script>alert(1)</script>`, `{{.Token}}`, `${jndi:ldap://evil/a}`, `%s%n%x`, `$(id)`, "`id`",
		} {
			arrives(t, escapeAll(text), text)
		}
	})
	d.flawless()
	d.clean(t)
}

// escapeAll escapes every byte.
func escapeAll(text string) string {
	var escaped strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&escaped, "%%%02X", text[i])
	}
	return escaped.String()
}

// rss is the daemon's resident memory in KiB.
func (d *door) rss() int {
	d.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.daemon.cmd.Process.Pid))
	require.NoError(d.t, err)
	found := regexp.MustCompile(`VmRSS:\s+([0-9]+) kB`).FindSubmatch(status)
	require.NotNil(d.t, found)
	kib, err := strconv.Atoi(string(found[1]))
	require.NoError(d.t, err)
	return kib
}
