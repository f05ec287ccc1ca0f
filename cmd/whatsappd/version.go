package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/mattn/go-sqlite3"
)

// version is set by the linker (-X main.version=…) when a release is built.
var version = "dev"

type versionCommand struct {
	JSON bool `name:"json" help:"As JSON, with every module."`
}

// versionAnswer is what "version --json" prints.
type versionAnswer struct {
	Version string            `json:"version"`
	Go      string            `json:"go"`
	SQLite  string            `json:"sqlite"`
	Modules map[string]string `json:"modules"`
}

// Run prints the version.
func (c *versionCommand) Run(term terminal) error {
	sqlite, _, _ := sqlite3.Version()
	answer := versionAnswer{Version: version, Go: runtime.Version(), SQLite: sqlite, Modules: map[string]string{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			answer.Modules[module.Path] = module.Version
		}
	}
	if c.JSON {
		enc := json.NewEncoder(term.out)
		enc.SetIndent("", "  ")
		return enc.Encode(answer)
	}
	_, err := fmt.Fprintf(term.out, "whatsappd %s\n%s, SQLite %s, whatsmeow %s\nThe binary as a whole is under GPL-3.0, through libsignal; its own sources are under Apache-2.0.\n",
		answer.Version, answer.Go, answer.SQLite, answer.Modules["go.mau.fi/whatsmeow"])
	return err
}
