package main

import (
	"time"

	"whatsappd/session"
)

// Config is every setting of the daemon. README.md has them as a table; loadConfig reads them.
type Config struct {
	Listen    string          `yaml:"listen"`     // host:port; port 0 takes a free one
	Token     Secret          `yaml:"token"`      // what callers must know; several are separated by commas
	TokenFile string          `yaml:"token_file"` // where Token is read from; the file may not exist yet
	DataDir   string          `yaml:"data_dir"`   // made with mode 0700
	Task      taskConfig      `yaml:"task"`
	Pace      paceConfig      `yaml:"pace"`
	Check     checkConfig     `yaml:"check"`
	Pairing   pairingConfig   `yaml:"pairing"`
	Reconnect reconnectConfig `yaml:"reconnect"`
	Protocol  protocolConfig  `yaml:"protocol"`
	Device    deviceConfig    `yaml:"device"`
	Callback  callbackConfig  `yaml:"callback"`
	Limit     limitConfig     `yaml:"limit"`
	Notify    notifyConfig    `yaml:"notify"`
	Slack     slackConfig     `yaml:"slack"`
	Proxy     string          `yaml:"proxy"` // for everything that goes to WhatsApp
	Simulator simulatorConfig `yaml:"simulator"`
	Log       logConfig       `yaml:"log"`
}

type taskConfig struct {
	MaxAge           time.Duration `yaml:"max_age"`           // of waiting for a connection or a better answer
	WhenDisconnected string        `yaml:"when_disconnected"` // wait or fail
	Retention        time.Duration `yaml:"retention"`         // of finished tasks
	DeliveryTimeout  time.Duration `yaml:"delivery_timeout"`  // of the recipient's receipt; then the message is marked
}

// checkConfig says how long the answers of WhatsApp are believed; zero turns a cache off.
type checkConfig struct {
	CachePositive time.Duration `yaml:"cache_positive"`
	CacheNegative time.Duration `yaml:"cache_negative"`
	PerMinute     int           `yaml:"per_minute"` // numbers WhatsApp is asked about; 0 for no limit
	PerHour       int           `yaml:"per_hour"`
	PerDay        int           `yaml:"per_day"`
}

type pairingConfig struct {
	Auto     bool   `yaml:"auto"`     // start pairing without being asked
	Rounds   int    `yaml:"rounds"`   // without a person asking
	Terminal string `yaml:"terminal"` // where codes are drawn: auto, always or never
}

type reconnectConfig struct {
	MaxPause      time.Duration `yaml:"max_pause"`      // before a dial, after many that failed or did not last
	ReplacedPause time.Duration `yaml:"replaced_pause"` // before the one try after another process took over
}

type protocolConfig struct {
	LiveVersion string `yaml:"live_version"` // off or use
}

type deviceConfig struct {
	Name string `yaml:"name"` // in the phone's list of linked devices
}

type callbackConfig struct {
	Allow         []string `yaml:"allow"`         // hosts, host:port, addresses and CIDRs that may be private
	Secret        Secret   `yaml:"secret"`        // signs callbacks; two for a rotation
	Authorization Secret   `yaml:"authorization"` // a fixed header for receivers
}

// limitConfig bounds what callers can ask for.
type limitConfig struct {
	Connections int `yaml:"connections"` // at once, of all clients together
	PerMinute   int `yaml:"per_minute"`  // tasks of one token; 0 is no limit
	Queue       int `yaml:"queue"`       // tasks that are not finished; 0 is no limit
}

// notifyConfig names the operator's own receiver of what happens to the account. Callback says how it is reached.
type notifyConfig struct {
	URL Secret `yaml:"url"` // who knows it can often post there; empty for none
}

type slackConfig struct {
	Token   Secret `yaml:"token"`
	Channel string `yaml:"channel"`
	APIURL  string `yaml:"api_url"` // empty is Slack's own
}

// simulatorConfig names the simulator that stands in for WhatsApp. Both values or none.
type simulatorConfig struct {
	Addr    string `yaml:"addr"`
	RootKey string `yaml:"root_key"`
}

type logConfig struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // auto, text or json
}

// defaultConfig returns the settings of a daemon nobody configured. It lacks a token, so it does not serve yet.
func defaultConfig() Config {
	return Config{
		Listen:    "127.0.0.1:8080",
		DataDir:   "./data",
		Task:      taskConfig{MaxAge: 10 * time.Minute, WhenDisconnected: "wait", Retention: 7 * 24 * time.Hour, DeliveryTimeout: 10 * time.Minute},
		Pace:      defaultPace(),
		Check:     checkConfig{CachePositive: 30 * 24 * time.Hour, CacheNegative: 24 * time.Hour, PerMinute: 60, PerHour: 600, PerDay: 3000},
		Pairing:   pairingConfig{Auto: true, Rounds: 3, Terminal: "auto"},
		Reconnect: reconnectConfig{MaxPause: 5 * time.Minute, ReplacedPause: 30 * time.Second},
		Protocol:  protocolConfig{LiveVersion: "off"},
		Device:    deviceConfig{Name: "whatsappd"},
		Limit:     limitConfig{Connections: 1000, PerMinute: 300_000, Queue: 100_000},
		Slack:     slackConfig{Channel: "whatsapp_services"},
		Log:       logConfig{Level: "info", Format: "auto"},
	}
}

// limits returns how many numbers WhatsApp may be asked about; none while pacing is off.
func (c Config) limits() session.CheckLimits {
	if c.Pace.Off {
		return session.CheckLimits{}
	}
	return session.CheckLimits{PerMinute: c.Check.PerMinute, PerHour: c.Check.PerHour, PerDay: c.Check.PerDay}
}

// tokens returns the tokens that callers may use. None means that the daemon cannot serve.
func (c Config) tokens() []string { return c.Token.list() }

// secrets returns the keys that sign callbacks, the current one first.
func (c callbackConfig) secrets() []string { return c.Secret.list() }
