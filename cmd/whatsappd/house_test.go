package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listedPackage is what "go list -json" says about one package of ours.
type listedPackage struct {
	Dir         string
	ImportPath  string
	Name        string
	Doc         string
	GoFiles     []string
	Imports     []string
	TestImports []string
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=Dir,ImportPath,Name,Doc,GoFiles,Imports,TestImports", "./...")
	command.Dir = "../.."
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(t, err)
	var packages []listedPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var one listedPackage
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, one)
	}
}

// house says which of our packages a package may import: what stands on a lower floor, never beside or above.
func house() map[string][]string {
	return map[string][]string{
		"errcode":       {},
		"session":       {"errcode"},
		"task":          {},
		"simulator":     {},
		"interop":       {"simulator"},
		"faults":        {"simulator"},
		"load":          {"simulator"},
		"callback":      {"session", "task"},
		"notify":        {"session"},
		"httpapi":       {"errcode", "session", "callback", "task"},
		"store":         {"session", "callback", "task"},
		"cmd/whatsappd": {"session", "task", "simulator", "callback", "notify", "httpapi", "store"},
	}
}

const whatsmeowClient = "go.mau.fi/whatsmeow"

// trespasses names every import that breaks the house.
func trespasses(name string, imports []string) []string {
	var all []string
	allowed, known := house()[name]
	if !known {
		return []string{name + " has no place in the house"}
	}
	for _, path := range imports {
		ours, isOurs := strings.CutPrefix(path, "whatsappd/")
		if isOurs && !slices.Contains(allowed, ours) {
			all = append(all, name+" must not know "+ours)
		}
		if path == whatsmeowClient && name != "session" {
			all = append(all, name+" must not know WhatsApp's client")
		}
	}
	return all
}

func TestImportsKeepTheHouse(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		require.Empty(t, trespasses(strings.TrimPrefix(p.ImportPath, "whatsappd/"), p.Imports))
		require.NotEmpty(t, p.Doc, "%s has no package comment", p.ImportPath)
	}
}

func TestTrespassesAreFlagged(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"session must not know store"}, trespasses("session", []string{"context", "whatsappd/store", whatsmeowClient}))
	require.Equal(t, []string{"store must not know WhatsApp's client"}, trespasses("store", []string{whatsmeowClient, whatsmeowClient + "/types"}))
	require.Equal(t, []string{"util has no place in the house"}, trespasses("util", nil))
}

// readsEnvironment finds calls that look at the environment.
func readsEnvironment(file *ast.File) bool {
	found := false
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			name := selector.Sel.Name
			of, isName := selector.X.(*ast.Ident)
			found = found || isName && of.Name == "os" && slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}, name)
		}
		return !found
	})
	return found
}

func TestOnlyTheCommandReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if p.Name == "main" {
			continue
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			require.False(t, readsEnvironment(file), "%s/%s reads the environment", p.ImportPath, name)
		}
	}
	bad, err := parser.ParseFile(token.NewFileSet(), "bad.go", `package bad; import "os"; var home = os.Getenv("HOME")`, 0)
	require.NoError(t, err)
	require.True(t, readsEnvironment(bad), "a bad sample is flagged")
}

func TestNoFileNamesOneMachinesPaths(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "git", "ls-files", "-z")
	command.Dir = "../.."
	out, err := command.Output()
	require.NoError(t, err, "the tests run in a git checkout")
	require.NotEmpty(t, out)
	machine := regexp.MustCompile(`(^|[^\w.~/-])/` + `(root|home|work|Users)/\w`)
	require.True(t, machine.MatchString("in /"+"home/somebody"), "a bad sample is flagged")
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join("../..", name))
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, not yet committed
		}
		require.NoError(t, err)
		require.Empty(t, machine.FindString(string(content)), name)
	}
}

// callers are the files that may make an HTTP client or use the library's own, and whom it talks to. Return URLs are reached by the
// first one only: it is the one that asks the guard.
func callers() map[string]string {
	return map[string]string{
		"callback/client.go":       "return URLs, through the guard",
		"notify/slack.go":          "Slack",
		"session/dial.go":          "WhatsApp, through the proxy of the settings",
		"session/version.go":       "WhatsApp, by the same way",
		"simulator/client.go":      "the simulator's control API",
		"cmd/whatsappd/doctor.go":  "WhatsApp's web server, for the time, by the way of the settings",
		"cmd/whatsappd/client.go":  "the daemon, for the commands of an operator",
		"cmd/whatsappd/inspect.go": "the daemon, for its health check",
		"simulator/connection.go":  "nobody: the simulator takes web sockets from every origin",
	}
}

// callsOut finds what opens connections over HTTP past the given clients, or trusts every certificate.
func callsOut(file *ast.File) (found []string) {
	pointers := map[ast.Expr]bool{}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.StarExpr: // to hold a client that was given is fine
			pointers[node.X] = true
		case *ast.Ident:
			if node.Name == "InsecureSkipVerify" {
				found = append(found, node.Name)
			}
		case *ast.SelectorExpr:
			of, isName := node.X.(*ast.Ident)
			calls := []string{"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"}
			if isName && of.Name == "http" && slices.Contains(calls, node.Sel.Name) && !pointers[node] {
				found = append(found, "http."+node.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestReturnURLsAreReachedThroughOneClient(t *testing.T) {
	t.Parallel()
	shipped := house()["cmd/whatsappd"]
	for _, p := range listPackages(t) {
		ours := strings.TrimPrefix(p.ImportPath, "whatsappd/")
		if ours != "cmd/whatsappd" && !slices.Contains(shipped, ours) {
			continue // it only tests what is shipped
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			path := ours + "/" + name
			if callers()[path] == "" {
				require.Empty(t, callsOut(file), "%s talks HTTP on its own; take the client that is there, or say in this test whom it talks to", path)
			}
		}
	}
	for source, want := range map[string][]string{
		`var c http.Client`:                               {"http.Client"},
		`var c = &http.Client{Transport: new(own)}`:       {"http.Client"},
		`func f(c *http.Client) { _, _ = http.Get("x") }`: {"http.Get"},
		`var c = tls.Config{InsecureSkipVerify: true}`:    {"InsecureSkipVerify"},
		`type t struct { client *http.Client }`:           nil,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "sample.go", "package sample\n"+source, 0)
		require.NoError(t, err)
		require.Equal(t, want, callsOut(file), source)
	}
}

// namedTests returns what a table of a manual names: for each test the packages one of which holds it.
func namedTests(manual, section string) map[string][]string {
	_, table, _ := strings.Cut(manual, "\n## "+section+"\n")
	table, _, _ = strings.Cut(table, "\n## ")
	named := map[string][]string{}
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, row := range regexp.MustCompile(`(?m)^\|.*\|([^|]*)\|([^|]*)\|$`).FindAllStringSubmatch(table, -1) {
		var packages []string
		for _, name := range quoted.FindAllStringSubmatch(row[2], -1) {
			packages = append(packages, name[1])
		}
		for _, test := range quoted.FindAllStringSubmatch(row[1], -1) {
			named[test[1]] = append(named[test[1]], packages...)
		}
	}
	return named
}

func TestEveryTestTheManualNamesExists(t *testing.T) {
	t.Parallel()
	holds := func(dir, test string) bool {
		files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
		require.NoError(t, err)
		return slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			return strings.Contains(string(text), "\nfunc "+test+"(t *testing.T)")
		})
	}
	named := namedTests(readShipped(t, "docs/behaviour.md"), "Which test shows it")
	require.NotEmpty(t, named)
	for test, packages := range named {
		require.True(t, slices.ContainsFunc(packages, func(dir string) bool { return holds(dir, test) }), "%s is in none of %v", test, packages)
	}
	require.False(t, holds("session", "TestNobodyWroteThis"))
	require.Equal(t, map[string][]string{"TestA": {"task"}}, namedTests("\n## Proof\n\n| a `b` | `TestA` | `task` |\n", "Proof"))
}
