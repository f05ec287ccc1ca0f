package simulator_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who reads the package's documentation learns of every file what it is about, and of no file that is not there.
func TestTheReadingOrderNamesEveryFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	named := regexp.MustCompile(`[a-z_]+\.go\b`).FindAllString(string(text), -1)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") && file != "doc.go" {
			require.Contains(t, named, file)
		}
	}
	for _, file := range named {
		require.FileExists(t, file)
	}
}
