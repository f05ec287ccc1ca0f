package main

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"whatsappd/callback"
)

// check says what is wrong with one value that has the right type. Its errors complete the sentence "key …".
func check(key, text string) error {
	switch key {
	case "listen":
		return checkAddress(text)
	case "token":
		return checkTokens(text)
	case "task.when_disconnected":
		return oneOf(text, "wait", "fail")
	case "protocol.live_version":
		return oneOf(text, "off", "use")
	case "pairing.terminal":
		return oneOf(text, "auto", "always", "never")
	case "log.level":
		return oneOf(text, "debug", "info", "warn", "error")
	case "log.format":
		return oneOf(text, "auto", "text", "json")
	case "device.name", "slack.channel":
		return notEmpty(text)
	case "data_dir":
		return checkDir(text)
	}
	if text == "" {
		return nil // the rest can be left out
	}
	switch key {
	case "pace.quiet_from", "pace.quiet_to":
		return checkClock(text)
	case "callback.allow":
		return checkAllowed(text)
	case "callback.secret":
		return checkSigningKeys(text)
	case "callback.authorization":
		return checkHeaderValue(text)
	case "notify.url":
		return checkReceiver(text)
	case "slack.token":
		return checkSlackToken(text)
	case "slack.api_url":
		return checkURL(text, "http", "https")
	case "proxy":
		return checkURL(text, "http", "https", "socks5")
	case "simulator.addr":
		return checkLoopback(text)
	case "simulator.root_key":
		return checkRootKey(text)
	}
	return nil
}

// checkTogether finds settings that contradict each other.
func checkTogether(c Config, origins map[string]string) []error {
	var errs []error
	mistake := func(key, wrong string) {
		from := origins[key]
		if from == "" {
			from = "default"
		}
		errs = append(errs, fmt.Errorf("%s (%s): %s", key, from, wrong))
	}
	if (c.Simulator.Addr == "") != (c.Simulator.RootKey == "") {
		mistake("simulator.addr", "must be set together with simulator.root_key, or neither")
	}
	if (c.Pace.QuietFrom == "") != (c.Pace.QuietTo == "") {
		mistake("pace.quiet_from", "must be set together with pace.quiet_to, or neither")
	}
	if c.Pace.ColdGapMin > c.Pace.ColdGapMax {
		mistake("pace.cold_gap_min", fmt.Sprintf("must not be above pace.cold_gap_max, which is %s", c.Pace.ColdGapMax))
	}
	if c.Pace.WarmGapMin > c.Pace.WarmGapMax {
		mistake("pace.warm_gap_min", fmt.Sprintf("must not be above pace.warm_gap_max, which is %s", c.Pace.WarmGapMax))
	}
	if err := c.checkNotify(nil); err != nil {
		mistake("notify.url", err.Error())
	}
	return errs
}

func notEmpty(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("must not be empty")
	}
	return nil
}

func checkDir(text string) error {
	if strings.HasPrefix(text, "~") {
		return errors.New("must not begin with ~, which only a shell knows; write the whole path")
	}
	return notEmpty(text)
}

func oneOf(text string, accepted ...string) error {
	if slices.Contains(accepted, text) {
		return nil
	}
	last := len(accepted) - 1
	return fmt.Errorf("must be %s or %s, not %q", strings.Join(accepted[:last], ", "), accepted[last], text)
}

func checkAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	_, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || notNumber != nil || strings.ContainsFunc(host, unicode.IsSpace) {
		return fmt.Errorf("must be host:port with a port from 0 to 65535, such as 127.0.0.1:8080, not %q", text)
	}
	return nil
}

func checkLoopback(text string) error {
	host, _, _ := net.SplitHostPort(text)
	if ip := net.ParseIP(host); checkAddress(text) != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("must be host:port on this machine's loopback, such as 127.0.0.1:8100, not %q", text)
	}
	return nil
}

func checkRootKey(text string) error {
	if key, err := hex.DecodeString(text); err != nil || len(key) != 32 {
		return errors.New("must be 32 bytes as 64 hexadecimal digits, as the simulator prints it")
	}
	return nil
}

// tokenLength is the shortest token: what can be guessed gives the account away.
const tokenLength = 20

func checkTokens(text string) error {
	for _, token := range Secret(text).list() {
		switch {
		case len(token) < tokenLength:
			return fmt.Errorf("must have at least %d characters; \"whatsappd token new\" makes one", tokenLength)
		case strings.ContainsFunc(token, unicode.IsSpace):
			return errors.New("must not contain blanks; several tokens are separated by commas")
		case placeholder(token):
			return errors.New("must not be an example's placeholder; \"whatsappd token new\" makes one")
		}
	}
	return nil
}

// placeholder finds the values that examples have in place of a token.
func placeholder(token string) bool {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, token)
	for _, word := range []string{"changeme", "changethis", "replaceme", "replacethis", "yourtoken", "yoursecret", "insertyour", "placeholder", "exampletoken"} {
		if strings.Contains(letters, word) {
			return true
		}
	}
	return strings.Trim(token, token[:1]) == "" // one character, over and over
}

// checkSigningKeys checks keys of the Standard Webhooks form.
func checkSigningKeys(text string) error {
	for _, secret := range Secret(text).list() {
		encoded, found := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !found || err != nil || len(key) < 24 || len(key) > 64 {
			return errors.New("must be whsec_ followed by 24 to 64 bytes in base64; two are separated by a comma")
		}
	}
	return nil
}

func checkHeaderValue(text string) error {
	if text != strings.TrimSpace(text) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("must be printable ASCII without blanks around it")
	}
	return nil
}

// checkSlackToken refuses what is not a token that can post: Slack has several kinds, and they are easily mixed up.
func checkSlackToken(text string) error {
	if strings.Contains(text, " ") || checkHeaderValue(text) != nil {
		return errors.New("must be printable ASCII without blanks")
	}
	if !strings.HasPrefix(text, "xoxb-") && !strings.HasPrefix(text, "xoxp-") && !strings.HasPrefix(text, "xoxe.xox") {
		return errors.New("must be the token of a bot or a user, which begins with xoxb- or xoxp-")
	}
	return nil
}

func checkURL(text string, schemes ...string) error {
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" {
		return fmt.Errorf("must be a URL with host, of scheme %s", strings.Join(schemes, ", ")) // it may hold a password
	}
	return nil
}

// checkReceiver checks the form of the address that events go to.
func checkReceiver(text string) error {
	if err := checkURL(text, "http", "https"); err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Fragment != "" || len(text) > 2048 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("must be at most 2048 ASCII characters without blanks, user, password and fragment")
	}
	if n, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16); err != nil || n == 0 {
		return errors.New("must have a port from 1 to 65535, or none")
	}
	return nil
}

// checkNotify tells whether events may go where the settings say, for a daemon that listens there.
func (c Config) checkNotify(own []netip.AddrPort) error {
	if c.Notify.URL == "" {
		return nil
	}
	guard, err := callback.NewGuard(c.Callback.Allow, func() []netip.AddrPort { return own })
	if err != nil {
		return err
	}
	u, err := url.Parse(string(c.Notify.URL))
	if err != nil {
		return errors.New("must be a URL") // the error may show it
	}
	return guard.CheckText(u)
}

func checkAllowed(text string) error {
	_, err := callback.NewGuard(Secret(text).list(), nil)
	return err
}

// clock is the form of a time of day.
const clock = "15:04"

func checkClock(text string) error {
	if _, err := time.Parse(clock, text); err != nil || len(text) != len(clock) {
		return fmt.Errorf("must be a time of day such as 22:00, not %q", text)
	}
	return nil
}
