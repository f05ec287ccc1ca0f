package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	envPrefix  = "WHATSAPPD_"
	fileSuffix = "_FILE" // of a variable that names the file with a secret
)

// loadConfig reads the settings: defaults, under the YAML file, under the environment ("NAME=value" each), under the values
// set on the command line. Within one layer a secret given directly wins over one in a file. A variable that is empty counts
// as not set. Unknown names are errors; the error has every mistake, each with its key and where it was made.
//
// A token file that does not exist is no mistake: there is no token yet, and Config.TokenFile says where it belongs.
func loadConfig(file string, set map[string]string, environ []string, readFile func(string) ([]byte, error)) (Config, error) {
	cfg := defaultConfig()
	l := &loader{fields: fieldsOf(&cfg), readFile: readFile, origins: map[string]string{}}
	if file != "" {
		l.file(file)
	}
	l.environment(environ)
	for _, key := range sorted(set) { // token_file comes after token
		if key != "token" {
			l.set(key, set[key], "--set "+key)
		}
	}
	if token, given := set["token"]; given {
		l.set("token", token, "--set token")
	}
	if len(l.errs) == 0 {
		l.errs = checkTogether(cfg, l.origins)
	}
	return cfg, errors.Join(l.errs...)
}

// loader applies layer after layer and collects what is wrong.
type loader struct {
	fields   map[string]reflect.Value // by key, such as task.max_age
	origins  map[string]string        // where a key's value came from; no entry for a default
	readFile func(string) ([]byte, error)
	errs     []error
}

// fieldsOf returns the fields of a configuration by key.
func fieldsOf(cfg *Config) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	addFields(fields, "", reflect.ValueOf(cfg).Elem())
	return fields
}

func addFields(fields map[string]reflect.Value, prefix string, group reflect.Value) {
	for i := range group.NumField() {
		key := prefix + group.Type().Field(i).Tag.Get("yaml")
		if field := group.Field(i); field.Kind() == reflect.Struct {
			addFields(fields, key+".", field)
		} else {
			fields[key] = field
		}
	}
}

// mistake notes what is wrong with a key, where it was made, and what would be right.
func (l *loader) mistake(key, from, wrong string) {
	l.errs = append(l.errs, fmt.Errorf("%s (%s): %s", shortened(key), from, shortened(wrong)))
}

// shortened keeps a mistake to about a line, whatever stands in the place of a key or a value.
func shortened(text string) string {
	const most = 250
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// set applies one value. Secrets are never part of a mistake's text.
func (l *loader) set(key, text, from string) {
	field, known := l.fields[key]
	if !known {
		l.mistake(key, from, "there is no such setting"+suggest(key, slices.Collect(maps.Keys(l.fields))))
		return
	}
	if err := assign(key, field, text); err != nil {
		l.mistake(key, from, err.Error())
		return
	}
	l.origins[key] = from
	if key == "token_file" && text != "" {
		l.secretFile("token", text, from)
	}
}

// secretFile applies a secret that is kept in a file.
func (l *loader) secretFile(key, path, from string) {
	from += ", file " + path
	content, err := l.readFile(path)
	if key == "token" && errors.Is(err, fs.ErrNotExist) {
		l.fields[key].SetString("") // the daemon makes one
		return
	}
	if err != nil {
		l.mistake(key, from, "must be a file that can be read: "+reason(err))
		return
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		l.mistake(key, from, "must not be empty")
		return
	}
	l.set(key, text, from)
}

// reason is an error of the file system without the path, which is told already.
func reason(err error) string {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}

// environment applies the variables that begin with WHATSAPPD_.
func (l *loader) environment(environ []string) {
	keys := map[string]string{}
	for key, field := range l.fields {
		keys[envName(key)] = key
		if _, secret := reflect.TypeAssert[Secret](field); secret && key != "token" {
			keys[envName(key)+fileSuffix] = key
		}
	}
	values := map[string]string{}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); strings.HasPrefix(name, envPrefix) && value != "" {
			values[name] = value
		}
	}
	// Files first, so that a secret given directly wins.
	names := sorted(values)
	slices.SortStableFunc(names, func(a, b string) int {
		return boolInt(strings.HasSuffix(b, fileSuffix)) - boolInt(strings.HasSuffix(a, fileSuffix))
	})
	for _, name := range names {
		key, known := keys[name]
		switch {
		case !known:
			l.mistake(name, "environment", "there is no such setting"+suggest(name, slices.Collect(maps.Keys(keys))))
		case envName(key) != name:
			l.secretFile(key, values[name], "environment "+name)
		default:
			l.set(key, values[name], "environment "+name)
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// envName is the variable of a key: WHATSAPPD_TASK_MAX_AGE for task.max_age.
func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// file applies a YAML file. Groups are nested; lists are for callback.allow only.
func (l *loader) file(path string) {
	content, err := l.readFile(path)
	if err != nil {
		l.mistake("--config", path, "must be a file that can be read: "+reason(err))
		return
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		l.mistake("--config", path, "must be YAML: "+err.Error())
		return
	}
	if len(document.Content) == 1 && document.Content[0].Tag != "!!null" {
		values := map[string]located{}
		l.flatten(values, path, "", document.Content[0])
		keys := slices.Sorted(maps.Keys(values))
		slices.Reverse(keys) // token_file before token
		for _, key := range keys {
			l.set(key, values[key].text, values[key].from)
		}
	}
}

// located is a value of the file and its place.
type located struct{ text, from string }

// flatten collects the values of a YAML mapping by key.
func (l *loader) flatten(values map[string]located, path, prefix string, node *yaml.Node) {
	from := func(n *yaml.Node) string { return fmt.Sprintf("%s line %d", path, n.Line) }
	if node.Kind != yaml.MappingNode {
		l.mistake("--config", from(node), `must be lines of the form "key: value"`)
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		key := prefix + name.Value
		_, again := values[key]
		if again || seen[key] {
			l.mistake(key, from(name), "stands there twice; keep one")
			continue
		}
		seen[key] = true
		switch value.Kind {
		case yaml.MappingNode:
			if prefix != "" {
				l.mistake(key, from(name), "must be one value: groups hold no groups")
				continue
			}
			l.flatten(values, path, key+".", value)
		case yaml.SequenceNode:
			var items []string
			if key != "callback.allow" || value.Decode(&items) != nil {
				l.mistake(key, from(value), "must be one value, not a list")
				continue
			}
			values[key] = located{strings.Join(items, ","), from(value)}
		case yaml.ScalarNode:
			text := value.Value
			if value.Tag == "!!null" {
				text = ""
			}
			values[key] = located{text, from(value)}
		default:
			l.mistake(key, from(value), "must be a plain value, without anchors")
		}
	}
}

// assign parses a value by the type of its field and checks it by its key.
func assign(key string, field reflect.Value, text string) error {
	switch field.Interface().(type) {
	case time.Duration:
		value, err := time.ParseDuration(text)
		cache := strings.HasPrefix(key, "check.cache_")
		if err != nil || value < 0 || value == 0 && !cache || value > longest {
			return errors.New(durationForm(cache) + ", not " + strconv.Quote(text))
		}
		field.SetInt(int64(value))
	case bool:
		if text != "true" && text != "false" {
			return fmt.Errorf("must be true or false, not %q", text)
		}
		field.SetBool(text == "true")
	case int:
		value, err := strconv.Atoi(text)
		if least := leastOf(key); err != nil || value < least {
			return fmt.Errorf("must be a whole number from %d, not %q", least, text)
		}
		field.SetInt(int64(value))
	case []string:
		field.Set(reflect.ValueOf(Secret(text).list()))
	default: // string and Secret
		field.SetString(text)
	}
	return check(key, text)
}

// longest is the longest duration, ten years: more is a slip, and could not be added to a time for ever.
const longest = 10 * 365 * 24 * time.Hour

func durationForm(cache bool) string {
	if cache {
		return "must be a duration of up to 87600h with its unit such as 24h, or 0 to turn it off"
	}
	return "must be a duration above zero with its unit, such as 90s, 10m or 168h, up to 87600h"
}

// leastOf is the smallest number a key takes.
func leastOf(key string) int {
	switch key {
	case "pairing.rounds", "pace.same_text", "limit.per_minute", "limit.queue":
		return 0
	case "limit.connections":
		return 10 // one for each of those that ask for health and figures, and some for callers
	}
	return 1
}

// suggest names the nearest known name when there is one that a person may have meant.
func suggest(name string, known []string) string {
	const most = 100 // letters of what a person may have meant
	if len(name) > most {
		return "; \"whatsappd config print\" shows all"
	}
	slices.Sort(known)
	best, distance := "", max(3, len(name)/3)+1
	for _, candidate := range known {
		if d := editDistance(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	if best == "" {
		return "; \"whatsappd config print\" shows all"
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// editDistance counts the letters to add, drop or change to get from one word to another.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(above+1, row[j]+1, diagonal+cost)
			diagonal = above
		}
	}
	return row[len(b)]
}

func sorted(values map[string]string) []string { return slices.Sorted(maps.Keys(values)) }

// printConfig writes the settings as YAML that loadConfig reads, except that secrets are shown as set or empty.
func printConfig(w io.Writer, c Config) error {
	if proxy, err := url.Parse(c.Proxy); err == nil && proxy.User != nil {
		proxy.User = url.User(hidden)
		c.Proxy = strings.ReplaceAll(proxy.String(), url.User(hidden).String(), hidden)
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	return errors.Join(encoder.Encode(c), encoder.Close())
}
