package errcode

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// documented reads the tables of docs/errors.md: the cells of each code's row, from the code on.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	rows := map[string][]string{}
	code := regexp.MustCompile("`([a-z0-9_<>]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 7 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		for _, found := range code.FindAllStringSubmatch(cells[1], -1) {
			require.NotContains(t, rows, found[1], "documented twice")
			rows[found[1]] = cells[1:]
		}
	}
	return rows
}

func TestTheDocumentShowsTheTable(t *testing.T) {
	t.Parallel()
	rows := documented(t)
	for code, m := range meanings {
		row, there := rows[code]
		require.True(t, there, "docs/errors.md lacks %s", code)
		require.NotEmpty(t, row[1], code)
		require.Equal(t, string(m.Scope), row[2], "scope of %s", code)
		tried := row[3] != "no" && !strings.HasPrefix(row[3], "no:") && !strings.HasSuffix(row[3], "else no")
		require.Equal(t, m.Retryable, tried, "whether %s is tried again: %s", code, row[3])
		require.Equal(t, m.Hint, row[4], "what to do about %s", code)
		require.NotEmpty(t, m.Hint)
	}
	for code := range rows {
		require.Contains(t, meanings, code, "docs/errors.md shows a code that is not there")
	}
}

func TestEveryCodeIsInTheTable(t *testing.T) {
	t.Parallel()
	found := 0
	for _, source := range []struct{ files, pattern string }{
		{"../session/errors.go", `(?m)^\s+Code\w+\s+= "([a-z_]+)"`},
		{"../task/*.go", `(?m)^\s+code[A-Z]\w+\s+= "([a-z_]+)"`},
		{"../httpapi/*.go", `refusal\(\s*[\w.]+, "([a-z_]+)"`},
		{"../cmd/whatsappd/worker.go", `task\.(?:Later\(|Wait, )"([a-z_]+)"`},
	} {
		files, err := filepath.Glob(source.files)
		require.NoError(t, err)
		before := found
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, match := range regexp.MustCompile(source.pattern).FindAllStringSubmatch(string(text), -1) {
				require.True(t, Known(match[1]), "%s in %s", match[1], file)
				found++
			}
		}
		require.Greater(t, found, before+2, source.files)
	}
}

func TestCodesMadeFromANumber(t *testing.T) {
	t.Parallel()
	for code, number := range map[string]int{
		"wa_499": 499, "rejected_400": 400, "rejected_403": 403, "connect_refused_418": 418, "temp_banned": 0, "wa_": 0, "499": 0, "other_499": 0, "": 0,
	} {
		require.Equal(t, number, Number(code), code)
		require.Equal(t, number != 0 || code == "temp_banned", Known(code), code)
	}
	require.Equal(t, meanings["wa_<n>"], Of("wa_418"))
	require.NotEqual(t, Of("rejected_400").Hint, Of("rejected_403").Hint)
	require.Equal(t, Meaning{Scope: Account, Hint: "read the log"}, Of("never heard of"))
}
