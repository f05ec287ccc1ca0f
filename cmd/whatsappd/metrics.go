package main

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"whatsappd/session"
)

// metrics reads the daemon's figures when they are asked for. No label ever holds a number or an address.
type metrics struct {
	app *app

	state, lastAnswer, roundTrip, tasks, callbacks, logLines, activity *prometheus.Desc
	dials, ends, pingsMissed, askedAgain, refused                      *prometheus.Desc
	alive, libraryAge, behind, panics                                  *prometheus.Desc
	attempts, silent                                                   *prometheus.Desc
}

// panics counts the mistakes in the daemon that were caught, by where they were.
type panics struct {
	task, callback, request tally
}

// tally counts.
type tally struct{ atomic.Int64 }

func (t *tally) add() { t.Add(1) }

// newMetrics returns the handler of /metrics.
func newMetrics(registry *prometheus.Registry, a *app) http.Handler {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("whatsappd_"+name, help, labels, nil)
	}
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&metrics{
			app:        a,
			state:      desc("account_state", "1 for the account's present state.", "account", "state"),
			lastAnswer: desc("last_answer_age_seconds", "Seconds since WhatsApp last answered.", "account"),
			roundTrip:  desc("round_trip_seconds", "The last measured round trip to WhatsApp.", "account"),
			tasks:      desc("tasks", "Tasks kept, by state.", "state"),
			callbacks:  desc("callbacks", "Callbacks kept, by state.", "state"),
			attempts:   desc("callback_attempts", "Attempts at callbacks that are on their way."),
			silent:     desc("callback_receivers_silent", "Receivers of callbacks that did not answer the last attempt: each gets one at a time."),
			activity:   desc("activity", "What the account did and what came back, within a sliding window.", "account", "what", "window"),
			logLines:   desc("whatsmeow_log_lines_total", "Lines the protocol library logged, by level.", "level"),

			dials:       desc("dials_total", "Dials of the linked device.", "account"),
			ends:        desc("connection_ends_total", "Connections and dials that ended, by reason (docs/errors.md).", "account", "reason"),
			pingsMissed: desc("pings_missed_total", "Pings WhatsApp did not answer in time.", "account"),
			askedAgain:  desc("retry_receipts_total", "Messages a recipient's device could not open and asked for again.", "account"),
			refused:     desc("messages_refused_total", "Messages WhatsApp refused, by its number.", "account", "wa_code"),
			alive:       desc("account_alive", "0 when the account's loop is stuck, as /healthz tells.", "account"),
			behind:      desc("protocol_version_behind", "Revisions of WhatsApp's web client since the one the protocol library has.", "account"),
			panics:      desc("panics_total", "Mistakes in the daemon that cost one attempt or one answer; the log has the stack.", "where"),
			libraryAge:  desc("library_age_seconds", "Age of the protocol library this program was built with."),
		},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	account := string(session.DefaultAccount)
	if m.app.account != nil {
		status := m.app.account.Status()
		gauge(m.state, 1, account, string(status.State))
		gauge(m.roundTrip, status.RoundTrip.Seconds(), account)
		if !status.LastAnswer.IsZero() {
			gauge(m.lastAnswer, time.Since(status.LastAnswer).Seconds(), account)
		}
		m.collectConnection(ch, account)
	}
	for where, count := range map[string]*tally{"task": &m.app.panics.task, "callback": &m.app.panics.callback, "request": &m.app.panics.request} {
		ch <- prometheus.MustNewConstMetric(m.panics, prometheus.CounterValue, float64(count.Load()), where)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // a scrape brings no context
	defer cancel()
	tasks, err := m.app.db.Counts(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(m.tasks, err)
	}
	for state, count := range tasks {
		gauge(m.tasks, float64(count), string(state))
	}
	for window, span := range map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour} {
		counts, err := m.app.db.Activity(ctx, account, time.Now().Add(-span))
		if err != nil {
			ch <- prometheus.NewInvalidMetric(m.activity, err)
			break
		}
		for what, count := range map[string]int{"new_chats": counts.NewChats, "replies": counts.Replies, "failures": counts.Failures} {
			gauge(m.activity, float64(count), account, what, window)
		}
	}
	deliveries, err := m.app.db.DeliveryCounts(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(m.callbacks, err)
	}
	for state, count := range deliveries {
		gauge(m.callbacks, float64(count), string(state))
	}
	if m.app.sender != nil {
		sending := m.app.sender.Counts()
		gauge(m.attempts, float64(sending.Attempts))
		gauge(m.silent, float64(sending.Silent))
	}
}

// collectConnection tells how the connection fared.
func (m *metrics) collectConnection(ch chan<- prometheus.Metric, account string) {
	counter := func(desc *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	for level, lines := range m.app.account.LogCounts() {
		counter(m.logLines, lines, level)
	}
	counts := m.app.account.Counts()
	counter(m.dials, counts.Dials, account)
	counter(m.pingsMissed, counts.PingsMissed, account)
	counter(m.askedAgain, counts.AskedAgain, account)
	for reason, times := range counts.Ends {
		counter(m.ends, times, account, reason)
	}
	for number, times := range counts.Refused {
		counter(m.refused, times, account, strconv.Itoa(number))
	}
	alive := 0.0
	if m.app.account.Alive() {
		alive = 1
	}
	ch <- prometheus.MustNewConstMetric(m.alive, prometheus.GaugeValue, alive, account)
	if behind, known := m.app.account.VersionBehind(); known {
		ch <- prometheus.MustNewConstMetric(m.behind, prometheus.GaugeValue, float64(behind), account)
	}
	if made := session.LibraryDate(); !made.IsZero() {
		ch <- prometheus.MustNewConstMetric(m.libraryAge, prometheus.GaugeValue, time.Since(made).Seconds())
	}
}
