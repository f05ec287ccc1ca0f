package session

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/store"
)

// libraryPath is whatsmeow's module.
const libraryPath = "go.mau.fi/whatsmeow"

// LibraryDate returns the day of the protocol library's commit this program was built with, from its module version; zero
// when the build does not say.
func LibraryDate() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, module := range info.Deps {
		if module.Path == libraryPath {
			return commitDate(module.Version)
		}
	}
	return time.Time{}
}

// commitDate reads the time of a commit from a module version such as v0.0.0-20260821120000-33cfac510000.
func commitDate(version string) time.Time {
	parts := strings.Split(version, "-")
	if len(parts) < 3 {
		return time.Time{}
	}
	stamp := parts[len(parts)-2]
	at, _ := time.Parse("20060102150405", stamp[strings.LastIndex(stamp, ".")+1:]) // zero when it is none
	return at
}

// libraryAge says how old the protocol library is.
func libraryAge() string {
	text := fmt.Sprintf("it speaks version %s", store.GetWAVersion())
	if at := LibraryDate(); !at.IsZero() {
		text += ", its protocol library is of " + at.Format(time.DateOnly)
	}
	return text
}
