package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"whatsappd/store"
)

// How long the doctor waits for an answer, and how far the clock may be off: pairing codes and callbacks carry times.
const (
	doctorPatience = 10 * time.Second
	clockOff       = time.Minute
)

// whatsappWeb is where linked devices connect to.
const whatsappWeb = "https://web.whatsapp.com/"

type doctorCommand struct {
	DataDir string `placeholder:"DIR" help:"The daemon's data directory."`
	Listen  string `placeholder:"ADDRESS" help:"Where the daemon listens, host:port."`
}

// errUnwell is returned when the doctor found something.
var errUnwell = errors.New("something is wrong, see above")

// Run looks at everything the daemon needs, in a line each, and changes nothing. The daemon may run meanwhile.
func (c *doctorCommand) Run(ctx context.Context, term terminal, cli *commands) error {
	cfg, err := cli.config(term, map[string]string{"data_dir": c.DataDir, "listen": c.Listen})
	if err != nil {
		return err
	}
	findings := append([]store.Finding{examineToken(cfg)}, store.Examine(ctx, cfg.DataDir)...)
	findings = append(findings, examinePort(ctx, cfg.Listen), examineSlack(cfg))
	findings = append(findings, examineNetwork(ctx, cfg)...)
	out := tabwriter.NewWriter(term.out, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		verdict, detail := "ok", f.Detail
		if f.Err != nil {
			verdict, detail, err = "wrong", f.Err.Error(), errUnwell
		}
		fmt.Fprintf(out, "%s\t%s\t%s\n", verdict, f.What, strings.ReplaceAll(detail, "\n", " "))
	}
	return errors.Join(out.Flush(), err)
}

// examineToken tells whether callers could be let in. What else the settings say was checked when they were read.
func examineToken(cfg Config) store.Finding {
	f := store.Finding{What: "settings", Detail: fmt.Sprintf("valid, %d token(s)", len(cfg.tokens()))}
	if len(cfg.tokens()) == 0 && cfg.TokenFile == "" {
		f.Err = errors.New("there is no token; the daemon needs WHATSAPPD_TOKEN or WHATSAPPD_TOKEN_FILE")
	}
	return f
}

// examinePort tells who has the address to listen on: a daemon that answers, nobody, or somebody else.
func examinePort(ctx context.Context, listen string) store.Finding {
	f := store.Finding{What: "listen", Detail: listen + " is free"}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	switch {
	case err == nil:
		f.Err = listener.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		f.Detail = "a daemon answers on " + listen
		if err := healthy(ctx, listen); err != nil {
			f.Err = fmt.Errorf("%s is in use, and no healthy daemon answers there: %w", listen, err)
		}
	default:
		f.Err = err
	}
	return f
}

// examineSlack looks at the form of the token; only Slack knows whether it is valid.
func examineSlack(cfg Config) store.Finding {
	f := store.Finding{What: "slack", Detail: "not configured: codes and alerts are shown in the terminal only"}
	switch token := string(cfg.Slack.Token); {
	case token == "":
	case !strings.HasPrefix(token, "xoxb-"):
		f.Err = errors.New("slack.token is not a bot token: those begin with xoxb-")
	default:
		f.Detail = "a bot token, for the channel " + cfg.Slack.Channel
	}
	return f
}

// examineNetwork asks WhatsApp's web server, on the way the daemon would take, for anything: that it answers is enough, and
// its answer tells the time.
func examineNetwork(ctx context.Context, cfg Config) []store.Finding {
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	reach := store.Finding{What: "reachable", Detail: "WhatsApp answers"}
	if cfg.Simulator.Addr != "" {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", cfg.Simulator.Addr)
		if err == nil {
			err = conn.Close()
		}
		reach.Detail, reach.Err = "the simulator answers on "+cfg.Simulator.Addr, err
		return []store.Finding{reach}
	}
	told, err := askTime(ctx, whatsappWeb, cfg.Proxy)
	if err != nil {
		reach.Err = fmt.Errorf("WhatsApp cannot be reached: %w", err)
		return []store.Finding{reach}
	}
	return []store.Finding{reach, examineClock(time.Now(), told)}
}

// askTime returns the time that a web server tells.
func askTime(ctx context.Context, address, proxy string) (time.Time, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	if proxy != "" {
		way, err := url.Parse(proxy)
		if err != nil {
			return time.Time{}, errors.New("the proxy of the settings is no URL")
		}
		transport.Proxy = http.ProxyURL(way)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return time.Time{}, err
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok { // without the address, and what a proxy's may hold
			err = failed.Err
		}
		return time.Time{}, err
	}
	defer res.Body.Close()
	return http.ParseTime(res.Header.Get("Date"))
}

// examineClock compares this machine's clock with another's.
func examineClock(now, told time.Time) store.Finding {
	off := now.Sub(told).Round(time.Second)
	f := store.Finding{What: "clock", Detail: "right within a minute"}
	if off.Abs() > clockOff {
		f.Err = fmt.Errorf("it differs by %s from WhatsApp's; callbacks would carry wrong times", off)
	}
	return f
}
