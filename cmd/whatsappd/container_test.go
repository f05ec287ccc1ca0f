package main

import (
	"encoding/json"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// instruction is one line of a Dockerfile, continuations joined.
type instruction struct{ name, args string }

func parseDockerfile(text string) []instruction {
	var all []instruction
	text = regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`\\\n`).ReplaceAllString(text, " ")
	for line := range strings.Lines(text) {
		if name, args, found := strings.Cut(strings.TrimSpace(line), " "); found {
			all = append(all, instruction{strings.ToUpper(name), strings.Join(strings.Fields(args), " ")})
		}
	}
	return all
}

// finalStage is what is in the image that ships.
func finalStage(all []instruction) []instruction {
	last := 0
	for i, in := range all {
		if in.name == "FROM" {
			last = i
		}
	}
	return all[last:]
}

// argsOf returns the arguments of the last instruction of this name.
func argsOf(all []instruction, name string) string {
	for _, in := range slices.Backward(all) {
		if in.name == name {
			return in.args
		}
	}
	return ""
}

func has(all []instruction, name, pattern string) bool {
	re := regexp.MustCompile(pattern)
	return slices.ContainsFunc(all, func(in instruction) bool { return in.name == name && re.MatchString(in.args) })
}

func execForm(args string) bool {
	var words []string
	return json.Unmarshal([]byte(args), &words) == nil && len(words) > 0
}

// imageFaults names every rule that a Dockerfile breaks.
func imageFaults(text string) []string {
	all := parseDockerfile(text)
	final := finalStage(all)
	stages := 0
	for _, in := range all {
		if in.name == "FROM" {
			stages++
		}
	}
	download := slices.IndexFunc(all, func(in instruction) bool { return strings.Contains(in.args, "go mod download") })
	sources := slices.IndexFunc(all, func(in instruction) bool { return in.name == "COPY" && strings.HasPrefix(in.args, ". ") })
	check, _ := strings.CutPrefix(argsOf(final, "HEALTHCHECK"), "CMD ")
	if _, command, found := strings.Cut(argsOf(final, "HEALTHCHECK"), " CMD "); found {
		check = command
	}
	secret := regexp.MustCompile(`(?i)(TOKEN|PASSWORD|SECRET|AUTHORIZATION)[A-Z_]*\s*=\s*\S`)
	return faults([]rule{
		{"two stages", stages == 2},
		{"a final stage from distroless", has(final, "FROM", `^gcr\.io/distroless/(static|base)-debian12:nonroot(@|$)`)},
		{"no Alpine", !has(all, "FROM", "alpine")},
		{"nothing a plain builder does not know", !strings.Contains(text, "<<") && !strings.Contains(text, "--link") && !strings.Contains(text, "--checksum")},
		{"modules in a layer of their own", download >= 0 && download < sources},
		{"a cache for modules", has(all, "RUN", `--mount=type=cache,target=/go/pkg/mod go mod download`)},
		{"cgo on", has(all, "RUN", `CGO_ENABLED=1 go build`)},
		{"a trimmed, stripped and static build", has(all, "RUN", `-trimpath .*-s -w .*-linkmode external -extldflags=-static`)},
		{"an SQLite that compiles a statement once", has(all, "RUN", `-DSQLITE_ENABLE_QPSG`)},
		{"the tags of a static build", has(all, "RUN", `sqlite_omit_load_extension osusergo netgo nomsgpack`)},
		{"a user that is not root", argsOf(final, "USER") == "65532:65532"},
		{"a data directory that belongs to the user", has(final, "COPY", `^--from=build --chown=65532:65532 \S+ /data$`)},
		{"no command in the final stage", !has(final, "RUN", "")},
		{"an entry point in exec form", execForm(argsOf(final, "ENTRYPOINT"))},
		{"a command in exec form", execForm(argsOf(final, "CMD"))},
		{"the stop signal", argsOf(final, "STOPSIGNAL") == "SIGTERM"},
		{"an exposed port", argsOf(final, "EXPOSE") == "8080"},
		{"a health check by the program", check == `["/app","healthcheck"]`},
		{"no secret", !secret.MatchString(text)},
	})
}

type rule struct {
	name string
	met  bool
}

func faults(rules []rule) []string {
	var broken []string
	for _, r := range rules {
		if !r.met {
			broken = append(broken, r.name)
		}
	}
	return broken
}

// service is what the rules are about in a service of a compose file.
type service struct {
	ReadOnly        bool           `yaml:"read_only"`
	Tmpfs           []string       `yaml:"tmpfs"`
	CapDrop         []string       `yaml:"cap_drop"`
	SecurityOpt     []string       `yaml:"security_opt"`
	MemLimit        string         `yaml:"mem_limit"`
	PidsLimit       int            `yaml:"pids_limit"`
	StopGracePeriod time.Duration  `yaml:"stop_grace_period"`
	Restart         string         `yaml:"restart"`
	Ports           []string       `yaml:"ports"`
	Volumes         []string       `yaml:"volumes"`
	Environment     map[string]any `yaml:"environment"`
	Privileged      bool           `yaml:"privileged"`
	User            string         `yaml:"user"`
	Entrypoint      any            `yaml:"entrypoint"`
}

// composeFaults names every rule that a service of a compose file breaks.
func composeFaults(t *testing.T, text, name string) []string {
	t.Helper()
	var file struct {
		Version  string             `yaml:"version"`
		Services map[string]service `yaml:"services"`
		Volumes  map[string]any     `yaml:"volumes"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	require.Contains(t, file.Services, name)
	s := file.Services[name]
	named := false
	for _, volume := range s.Volumes {
		source, target, _ := strings.Cut(volume, ":")
		_, declared := file.Volumes[source]
		named = named || declared && target == "/data"
	}
	secret := false
	for key, value := range s.Environment {
		secret = secret || value != nil && regexp.MustCompile(`(TOKEN|SECRET|PASSWORD|AUTHORIZATION)$`).MatchString(key)
	}
	return faults([]rule{
		{"no version line", file.Version == ""},
		{"a named volume for the data", named},
		{"a root that cannot be written", s.ReadOnly},
		{"a small /tmp", slices.ContainsFunc(s.Tmpfs, func(m string) bool { return strings.HasPrefix(m, "/tmp:size=") })},
		{"no capabilities", slices.Equal(s.CapDrop, []string{"ALL"}) && !s.Privileged},
		{"no new privileges", slices.Contains(s.SecurityOpt, "no-new-privileges:true")},
		{"a limit of memory", s.MemLimit != ""},
		{"a limit of processes", s.PidsLimit > 0},
		{"time to stop", s.StopGracePeriod >= 15*time.Second},
		{"a restart after a crash", s.Restart == "unless-stopped"},
		{"ports on loopback only", len(s.Ports) > 0 && !slices.ContainsFunc(s.Ports, func(p string) bool { return !strings.HasPrefix(p, "127.0.0.1:") })},
		{"no secret in the file", !secret},
		{"the image's user", s.User == ""},
		{"the image's entry point", s.Entrypoint == nil},
	})
}

func readShipped(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile("../../" + name)
	require.NoError(t, err)
	return string(content)
}

func TestTheImageKeepsItsRules(t *testing.T) {
	t.Parallel()
	require.Empty(t, imageFaults(readShipped(t, "Dockerfile")))
}

func TestABadImageIsFlagged(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, []string{
		"two stages", "a final stage from distroless", "no Alpine", "nothing a plain builder does not know",
		"modules in a layer of their own", "a cache for modules", "cgo on", "a trimmed, stripped and static build", "an SQLite that compiles a statement once",
		"the tags of a static build",
		"a user that is not root", "a data directory that belongs to the user", "no command in the final stage",
		"an entry point in exec form", "a command in exec form", "the stop signal", "an exposed port", "a health check by the program", "no secret",
	}, imageFaults(`FROM alpine:3
COPY --link . /src
ENV WHATSAPPD_TOKEN=abc
RUN go build -o /app
RUN mkdir /data
HEALTHCHECK CMD curl localhost
ENTRYPOINT /app
CMD serve
`))
}

func TestTheComposeFileKeepsItsRules(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"whatsappd", "sandbox"} {
		require.Empty(t, composeFaults(t, readShipped(t, "docker-compose.yml"), name), name)
	}
}

func TestABadComposeFileIsFlagged(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, []string{
		"no version line", "a named volume for the data", "a root that cannot be written", "a small /tmp", "no capabilities",
		"no new privileges", "a limit of memory", "a limit of processes", "time to stop", "a restart after a crash",
		"ports on loopback only", "no secret in the file", "the image's user", "the image's entry point",
	}, composeFaults(t, `version: "3"
services:
  whatsappd:
    image: whatsappd
    user: root
    privileged: true
    entrypoint: /app serve
    environment: {WHATSAPPD_TOKEN: abc}
    ports: ["8080:8080"]
    volumes: [/data]
`, "whatsappd"))
}

func TestTheExampleSettingsAreEnoughToStart(t *testing.T) {
	t.Parallel()
	var environ []string
	for line := range strings.Lines(readShipped(t, ".env.example")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			environ = append(environ, line)
		}
	}
	final := finalStage(parseDockerfile(readShipped(t, "Dockerfile")))
	environ = append(environ, strings.Fields(argsOf(final, "ENV"))...)
	cfg, err := loadConfig("", nil, append(environ, "WHATSAPPD_PAIRING_TERMINAL=always"), files{}.read)
	require.NoError(t, err)
	require.Equal(t, "/data", cfg.DataDir)
	require.Equal(t, "/data/token", cfg.TokenFile, "made at the first start")
	_, port, err := net.SplitHostPort(cfg.Listen)
	require.NoError(t, err)
	require.Equal(t, argsOf(final, "EXPOSE"), port)
}

func TestTheBuildContextLeavesOutWhatMustNotShip(t *testing.T) {
	t.Parallel()
	ignored := strings.Fields(readShipped(t, ".dockerignore"))
	for _, name := range []string{".git", ".env", "bin", "data", "sandbox-data", "**/*.db", "**/*_test.go"} {
		require.Contains(t, ignored, name)
	}
}
