package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const goodToken = "wad_0123456789abcdefghij"

// files is a readFile of tests.
type files map[string]string

func (f files) read(name string) ([]byte, error) {
	content, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(content), nil
}

func TestDefaultsAreThePromisedOnes(t *testing.T) {
	t.Parallel()
	cfg, err := loadConfig("", nil, []string{"PATH=/bin", "WHATSAPPDX=1"}, files{}.read)
	require.NoError(t, err)
	require.Equal(t, defaultConfig(), cfg)
	require.Equal(t, "127.0.0.1:8080", cfg.Listen)
	require.Equal(t, "./data", cfg.DataDir)
	require.Empty(t, cfg.tokens())
	require.Equal(t, taskConfig{MaxAge: 10 * time.Minute, WhenDisconnected: "wait", Retention: 168 * time.Hour, DeliveryTimeout: 10 * time.Minute}, cfg.Task)
	require.Equal(t, checkConfig{CachePositive: 720 * time.Hour, CacheNegative: 24 * time.Hour, PerMinute: 60, PerHour: 600, PerDay: 3000}, cfg.Check)
	require.Equal(t, pairingConfig{Auto: true, Rounds: 3, Terminal: "auto"}, cfg.Pairing)
	require.Equal(t, "whatsappd", cfg.Device.Name)
	require.Equal(t, "whatsapp_services", cfg.Slack.Channel)
	require.Equal(t, logConfig{Level: "info", Format: "auto"}, cfg.Log)
	require.Equal(t, limitConfig{Connections: 1000, PerMinute: 300_000, Queue: 100_000}, cfg.Limit)
	require.False(t, cfg.Pace.Off)
}

func TestEachLayerWinsOverTheOneBelow(t *testing.T) {
	t.Parallel()
	in := files{"c.yaml": "task:\n  max_age: 1m\n  retention: 2h\nlog:\n  level: debug\ncallback:\n  allow: [10.0.0.0/8, hook]\n"}
	cfg, err := loadConfig("c.yaml",
		map[string]string{"log.level": "error"},
		[]string{"WHATSAPPD_TASK_MAX_AGE=2m", "WHATSAPPD_LOG_LEVEL=warn", "WHATSAPPD_LOG_FORMAT="}, in.read)
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, cfg.Task.Retention, "from the file")
	require.Equal(t, []string{"10.0.0.0/8", "hook"}, cfg.Callback.Allow)
	require.Equal(t, 2*time.Minute, cfg.Task.MaxAge, "from the environment")
	require.Equal(t, "error", cfg.Log.Level, "from the command line")
	require.Equal(t, "auto", cfg.Log.Format, "an empty variable is not set")
}

func TestEveryKeyHasItsVariable(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"listen": ":0", "token": goodToken + ", " + goodToken + "2", "token_file": "/absent", "data_dir": "/d",
		"task.max_age": "1m", "task.when_disconnected": "fail", "task.retention": "1h", "task.delivery_timeout": "5m",
		"pace.off": "true", "pace.cold_gap_min": "1s", "pace.cold_gap_max": "2s", "pace.warm_gap_min": "1ms", "pace.warm_gap_max": "2ms",
		"pace.per_minute": "1", "pace.per_hour": "2", "pace.per_day": "3", "pace.cold_per_day": "2", "pace.same_text": "1", "pace.same_text_block": "true",
		"pace.settle": "1s", "pace.quiet_from": "22:00", "pace.quiet_to": "07:30",
		"check.cache_positive": "0", "check.cache_negative": "0s", "check.per_minute": "1", "check.per_hour": "2", "check.per_day": "3",
		"pairing.auto": "false", "pairing.rounds": "0", "pairing.terminal": "never",
		"reconnect.max_pause": "2m", "reconnect.replaced_pause": "1m", "protocol.live_version": "use",
		"device.name": "office", "callback.allow": "hook:8080, 10.0.0.0/8", "callback.secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
		"callback.authorization": "Bearer x", "notify.url": "https://ops.example/hook?key=1", "slack.token": "xoxb-1", "slack.channel": "ops", "slack.api_url": "http://127.0.0.1:1/",
		"limit.connections": "20", "limit.per_minute": "10", "limit.queue": "30",
		"proxy": "socks5://u:p@127.0.0.1:1", "simulator.addr": "127.0.0.1:8100", "simulator.root_key": strings.Repeat("0f", 32),
		"log.level": "warn", "log.format": "text",
	}
	var cfg Config
	require.Equal(t, slices.Sorted(maps.Keys(fieldsOf(&cfg))), sorted(values), "this test knows every key")
	var environ []string
	for key, value := range values {
		environ = append(environ, envName(key)+"="+value)
	}
	cfg, err := loadConfig("", nil, environ, files{}.read)
	require.NoError(t, err)
	require.Equal(t, []string{goodToken, goodToken + "2"}, cfg.tokens())
	require.Equal(t, []string{"hook:8080", "10.0.0.0/8"}, cfg.Callback.Allow)
	require.Len(t, cfg.Callback.secrets(), 1)
	require.Equal(t, checkConfig{PerMinute: 1, PerHour: 2, PerDay: 3}, cfg.Check)
	again, err := loadConfig("", values, nil, files{}.read)
	require.NoError(t, err)
	require.Equal(t, cfg, again, "the command line sets the same")
	for key, field := range fieldsOf(&cfg) {
		if key != "check.cache_positive" && key != "check.cache_negative" && key != "pairing.rounds" && key != "pairing.auto" {
			require.False(t, field.IsZero(), key)
		}
	}
}

func TestMistakesNameKeyPlaceAndForm(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, set, environ string // key=value each
		wants              string
	}{
		"an unknown key of the file":           {file: "tsak:\n  max_age: 1m", wants: "tsak.max_age (c.yaml line 2): there is no such setting; did you mean task.max_age?"},
		"an unknown key of the command line":   {set: "log.levle=info", wants: "log.levle (--set log.levle): there is no such setting; did you mean log.level?"},
		"an unknown variable":                  {environ: "WHATSAPPD_TASK_MAXAGE=1m", wants: "WHATSAPPD_TASK_MAXAGE (environment): there is no such setting; did you mean WHATSAPPD_TASK_MAX_AGE?"},
		"a key that stands twice":              {file: "listen: :1\nlisten: :2", wants: "listen (c.yaml line 2): stands there twice"},
		"a group that stands twice":            {file: "log: {level: info}\nlog: {format: text}", wants: "log (c.yaml line 2): stands there twice"},
		"a key that stands twice, once dotted": {file: "log: {level: info}\nlog.level: warn", wants: "log.level (c.yaml line 2): stands there twice"},
		"a list where one value belongs":       {file: "listen: [a, b]", wants: "must be one value"},
		"a file that is not a mapping":         {file: "- listen", wants: `must be lines of the form "key: value"`},
		"a file that is not YAML":              {file: "a: b: c", wants: "must be YAML"},
		"a short token":                        {environ: "WHATSAPPD_TOKEN=short-secret", wants: "token (environment WHATSAPPD_TOKEN): must have at least 20 characters"},
		"a token with a blank":                 {environ: "WHATSAPPD_TOKEN=aaaaaaaaaaaa bbbbbbbbbbbb", wants: "must not contain blanks"},
		"a placeholder as token":               {environ: "WHATSAPPD_TOKEN=change-me-change-me-change-me", wants: "must not be an example's placeholder"},
		"one character as token":               {environ: "WHATSAPPD_TOKEN=xxxxxxxxxxxxxxxxxxxxxxxxx", wants: "must not be an example's placeholder"},
		"a duration without unit":              {file: "task: {max_age: 600}", wants: `task.max_age (c.yaml line 1): must be a duration above zero with its unit, such as 90s, 10m or 168h, up to 87600h, not "600"`},
		"a duration without end":               {set: "task.retention=1000000h", wants: `up to 87600h, not "1000000h"`},
		"a group within a group":               {file: "task: {max_age: {a: 1m}}", wants: "task.max_age (c.yaml line 1): must be one value: groups hold no groups"},
		"a long key":                           {file: strings.Repeat("a", 1000) + ": 1", wants: "aaa… (c.yaml line 1): there is no such setting; \"whatsappd config print\" shows all"},
		"a long value":                         {set: "log.level=" + strings.Repeat("a", 5000), wants: "must be debug, info, warn or error, not \"aaa"},
		"a Slack token of an app":              {set: "slack.token=xapp-1-A0-1", wants: "must be the token of a bot or a user, which begins with xoxb- or xoxp-"},
		"an address of Slack's as its token":   {set: "slack.token=https://hooks.slack.com/services/T/B/x", wants: "must be the token of a bot or a user"},
		"a Slack token with a blank":           {set: "slack.token=xoxb-1 2", wants: "must be printable ASCII without blanks"},
		"a duration of nothing":                {set: "task.retention=0s", wants: "must be a duration above zero"},
		"a negative duration":                  {set: "task.max_age=-1s", wants: "must be a duration above zero"},
		"a negative cache":                     {set: "check.cache_positive=-1s", wants: "or 0 to turn it off"},
		"a number that is none":                {set: "pace.per_day=many", wants: `must be a whole number from 1, not "many"`},
		"hardly any connections":               {set: "limit.connections=9", wants: `must be a whole number from 10, not "9"`},
		"a negative queue":                     {set: "limit.queue=-1", wants: "must be a whole number from 0"},
		"negative rounds":                      {set: "pairing.rounds=-1", wants: "must be a whole number from 0"},
		"neither true nor false":               {set: "pace.off=yes", wants: "must be true or false"},
		"an unknown choice":                    {set: "task.when_disconnected=drop", wants: `must be wait or fail, not "drop"`},
		"an unknown level":                     {set: "log.level=loud", wants: "must be debug, info, warn or error"},
		"an unknown format":                    {set: "log.format=xml", wants: "must be auto, text or json"},
		"an unknown use of the terminal":       {set: "pairing.terminal=yes", wants: "must be auto, always or never"},
		"an address without port":              {set: "listen=localhost", wants: "must be host:port"},
		"a port that does not exist":           {set: "listen=:65536", wants: "port from 0 to 65535"},
		"an empty data directory":              {set: "data_dir=", wants: "must not be empty"},
		"a data directory for a shell":         {set: "data_dir=~/data", wants: "must not begin with ~"},
		"half a simulator":                     {set: "simulator.addr=127.0.0.1:1", wants: "must be set together with simulator.root_key"},
		"a simulator on another machine":       {set: "simulator.addr=192.0.2.1:1", wants: "loopback"},
		"a root key that is too short":         {set: "simulator.root_key=00ff", wants: "64 hexadecimal digits"},
		"half of quiet hours":                  {set: "pace.quiet_from=22:00", wants: "must be set together with pace.quiet_to"},
		"a time of day that is none":           {set: "pace.quiet_from=25:00", wants: "must be a time of day such as 22:00"},
		"gaps the wrong way round":             {set: "pace.cold_gap_min=1h", wants: "must not be above pace.cold_gap_max"},
		"a signing key of another form":        {set: "callback.secret=secret", wants: "must be whsec_ followed by"},
		"an allowed URL":                       {set: "callback.allow=http://hook", wants: `callback.allow (--set callback.allow): "http://hook": write a host, host:port`},
		"an allowed network with host bits":    {set: "callback.allow=app, 10.0.0.1/8", wants: `"10.0.0.1/8": the network is 10.0.0.0/8`},
		"a proxy that is no URL":               {set: "proxy=127.0.0.1:1080", wants: "must be a URL with host, of scheme http, https, socks5"},
		"a header with a line break":           {set: "callback.authorization=a\nb", wants: "must be printable ASCII"},
		"a receiver of events that is no URL":  {set: "notify.url=ops.example/hook", wants: "notify.url (--set notify.url): must be a URL with host, of scheme http, https"},
		"a receiver of events with a password": {set: "notify.url=https://u:p@ops.example/", wants: "must be at most 2048 ASCII characters without blanks, user, password and fragment"},
		"a receiver of events at a port 0":     {set: "notify.url=https://ops.example:0/", wants: "must have a port from 1 to 65535"},
		"a private receiver of events":         {environ: "WHATSAPPD_NOTIFY_URL=http://10.0.0.1/hook", wants: "notify.url (environment WHATSAPPD_NOTIFY_URL): the address is not allowed as a return URL: 10.0.0.1:80 is on this machine or in a private network; an operator can list it in the setting callback.allow"},
		"a file that is not there":             {environ: "WHATSAPPD_SLACK_TOKEN_FILE=/absent", wants: "slack.token (environment WHATSAPPD_SLACK_TOKEN_FILE, file /absent): must be a file that can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, environ := map[string]string{}, []string{}
			if key, value, given := strings.Cut(test.set, "="); given {
				set[key] = value
			}
			if test.environ != "" {
				environ = append(environ, test.environ)
			}
			file := ""
			if test.file != "" {
				file = "c.yaml"
			}
			_, err := loadConfig(file, set, environ, files{"c.yaml": test.file}.read)
			require.ErrorContains(t, err, test.wants)
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := loadConfig("c.yaml", map[string]string{"listen": "x"}, []string{"WHATSAPPD_NOPE=1", "WHATSAPPD_TOKEN=this is a secret value"},
		files{"c.yaml": "log: {level: loud}"}.read)
	require.Error(t, err)
	for _, key := range []string{"listen (", "WHATSAPPD_NOPE (", "log.level (", "token ("} {
		require.ErrorContains(t, err, key)
	}
	require.NotContains(t, err.Error(), "secret value")
}

func TestSecretsComeFromFiles(t *testing.T) {
	t.Parallel()
	in := files{"/token": goodToken + "\n", "/slack": "xoxb-1\r\n", "/empty": "\n", "c.yaml": "token_file: /token\n"}

	cfg, err := loadConfig("", nil, []string{"WHATSAPPD_TOKEN_FILE=/token", "WHATSAPPD_SLACK_TOKEN_FILE=/slack"}, in.read)
	require.NoError(t, err)
	require.Equal(t, []string{goodToken}, cfg.tokens())
	require.Equal(t, "xoxb-1", string(cfg.Slack.Token))

	cfg, err = loadConfig("c.yaml", nil, nil, in.read)
	require.NoError(t, err)
	require.Equal(t, []string{goodToken}, cfg.tokens())

	cfg, err = loadConfig("c.yaml", nil, []string{"WHATSAPPD_TOKEN_FILE=/later"}, in.read)
	require.NoError(t, err, "the daemon makes the file")
	require.Empty(t, cfg.tokens())
	require.Equal(t, "/later", cfg.TokenFile)

	other := "another-token-of-good-length"
	cfg, err = loadConfig("", nil, []string{"WHATSAPPD_TOKEN=" + other, "WHATSAPPD_TOKEN_FILE=/token"}, in.read)
	require.NoError(t, err)
	require.Equal(t, []string{other}, cfg.tokens(), "a token given directly wins")

	cfg, err = loadConfig("", map[string]string{"token": other, "token_file": "/token"}, nil, in.read)
	require.NoError(t, err)
	require.Equal(t, []string{other}, cfg.tokens())

	_, err = loadConfig("", nil, []string{"WHATSAPPD_TOKEN_FILE=/empty"}, in.read)
	require.ErrorContains(t, err, "must not be empty")
}

func TestPrintingHidesSecretsAndReadsBack(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, printConfig(&out, defaultConfig()))
	cfg, err := loadConfig("c.yaml", nil, nil, files{"c.yaml": out.String()}.read)
	require.NoError(t, err, out.String())
	cfg.Callback.Allow = nil
	require.Equal(t, defaultConfig(), cfg)

	secret := defaultConfig()
	secret.Token, secret.Slack.Token, secret.Callback.Secret, secret.Callback.Authorization = "tell-nobody", "tell-nobody", "tell-nobody", "tell-nobody"
	secret.Notify.URL = "https://ops.example/tell-nobody"
	secret.Proxy = "socks5://user:tell-nobody@127.0.0.1:1"
	out.Reset()
	require.NoError(t, printConfig(&out, secret))
	require.NotContains(t, out.String(), "tell-nobody")
	require.Contains(t, out.String(), "token: '[set]'")
	require.Contains(t, out.String(), "proxy: socks5://[set]@127.0.0.1:1")
}

func TestSecretsAreShownNowhere(t *testing.T) {
	t.Parallel()
	value := struct{ S Secret }{"tell-nobody"}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("it", "s", value.S, "struct", value)
	}
	fmt.Fprintf(&out, "%s %v %+v %#v %q", value.S, value, value, value, value.S)
	require.NoError(t, json.NewEncoder(&out).Encode(value))
	require.NoError(t, yaml.NewEncoder(&out).Encode(value))
	require.NotContains(t, out.String(), "tell-nobody")
	require.Empty(t, Secret("").String())
}

func TestExamplesAreNoTokens(t *testing.T) {
	t.Parallel()
	for _, token := range []string{
		"CHANGE_ME_CHANGE_ME_CHANGE_ME", "please-change-this-token-0001", "replace-me-with-a-long-token", "your-token-goes-here-0123456789", "<your secret of 20 letters>",
		"insert-your-secret-right-here", "placeholder-placeholder-1", "example-token-0123456789", "aaaaaaaaaaaaaaaaaaaaaaaa", "00000000000000000000000000",
		"nineteen-characters", goodToken + ",short", goodToken + ",with a blank in its middle",
	} {
		require.Error(t, checkTokens(token), token)
	}
	for _, token := range []string{goodToken, goodToken + "," + newToken(), "twenty-characters-it", "b7c1e0f29d4a4b8e9f60c1d2e3f4a5b6", " " + goodToken + " , " + newToken() + " "} {
		require.NoError(t, checkTokens(token), token)
	}
}

func TestNewTokensDiffer(t *testing.T) {
	t.Parallel()
	a, b := newToken(), newToken()
	require.NotEqual(t, a, b)
	require.Regexp(t, `^wad_[A-Za-z0-9_-]{43}$`, a)
	require.NoError(t, checkTokens(a+","+b))
}

func TestReadmeNamesEverySetting(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	var cfg Config
	for key := range fieldsOf(&cfg) {
		require.Contains(t, string(readme), "`"+key+"`")
	}
}

// FuzzConfigFile checks that no file makes the reader panic, and that no secret is repeated in an error.
func FuzzConfigFile(f *testing.F) {
	f.Add("task:\n  max_age: 1m\n", "short")
	f.Add("token: short\n? [a]: b\n", "with a blank")
	f.Add("a: &x {b: *x}\n", "\n\x00,placeholder%zz@")
	f.Fuzz(func(t *testing.T, text, secret string) {
		_, _ = loadConfig("c.yaml", nil, nil, files{"c.yaml": text}.read)
		secret = "canary-" + secret
		set := map[string]string{
			"token": secret, "slack.token": secret, "callback.secret": "whsec_" + secret, "callback.authorization": secret, "notify.url": "http://u:" + secret + "@host/" + secret, "proxy": "http://user:" + secret + "@host",
		}
		_, err := loadConfig("", set, []string{"WHATSAPPD_TOKEN=" + secret, "WHATSAPPD_SLACK_TOKEN_FILE=/secret"}, files{"/secret": secret}.read)
		if err != nil && strings.Contains(err.Error(), "canary-") {
			t.Fatalf("a secret is repeated: %s", err)
		}
	})
}
