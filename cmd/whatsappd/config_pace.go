package main

import (
	"fmt"
	"time"

	"whatsappd/task"
)

// paceConfig is how fast the account may write to people. The defaults protect a real number.
type paceConfig struct {
	Off        bool          `yaml:"off"`          // for tests: no gaps, caps, quiet hours or settling
	ColdGapMin time.Duration `yaml:"cold_gap_min"` // between messages to people who never wrote
	ColdGapMax time.Duration `yaml:"cold_gap_max"`
	WarmGapMin time.Duration `yaml:"warm_gap_min"` // between messages to people who did
	WarmGapMax time.Duration `yaml:"warm_gap_max"`
	PerMinute  int           `yaml:"per_minute"`
	PerHour    int           `yaml:"per_hour"`
	PerDay     int           `yaml:"per_day"`
	ColdPerDay int           `yaml:"cold_per_day"` // of these, to people who never wrote
	SameText   int           `yaml:"same_text"`    // so many of those may get the same text within a day; 0 is no limit
	SameBlock  bool          `yaml:"same_text_block"`
	Settle     time.Duration `yaml:"settle"`     // no cold message so long after pairing
	QuietFrom  string        `yaml:"quiet_from"` // "22:00", local time; empty with quiet_to is none
	QuietTo    string        `yaml:"quiet_to"`
}

func defaultPace() paceConfig {
	p := task.DefaultPolicy()
	c := paceConfig{
		Off:        p.Off,
		ColdGapMin: p.ColdGapMin,
		ColdGapMax: p.ColdGapMax,
		WarmGapMin: p.WarmGapMin,
		WarmGapMax: p.WarmGapMax,
		PerMinute:  p.PerMinute,
		PerHour:    p.PerHour,
		PerDay:     p.PerDay,
		ColdPerDay: p.ColdPerDay,
		SameText:   p.SameText,
		SameBlock:  p.SameTextBlock,
		Settle:     p.Settle,
	}
	if p.QuietFrom != p.QuietTo {
		c.QuietFrom, c.QuietTo = timeOfDay(p.QuietFrom), timeOfDay(p.QuietTo)
	}
	return c
}

// policy returns these settings as the lane wants them. What has no setting keeps its default.
func (c paceConfig) policy() task.Policy {
	p := task.DefaultPolicy()
	p.Off = c.Off
	p.ColdGapMin, p.ColdGapMax = c.ColdGapMin, c.ColdGapMax
	p.WarmGapMin, p.WarmGapMax = c.WarmGapMin, c.WarmGapMax
	p.PerMinute, p.PerHour, p.PerDay = c.PerMinute, c.PerHour, c.PerDay
	p.ColdPerDay, p.SameText, p.SameTextBlock = c.ColdPerDay, c.SameText, c.SameBlock
	p.Settle = c.Settle
	p.QuietFrom, p.QuietTo = sinceMidnight(c.QuietFrom), sinceMidnight(c.QuietTo)
	return p
}

// sinceMidnight reads a time of day; an empty one is midnight.
func sinceMidnight(text string) time.Duration {
	at, err := time.Parse(clock, text)
	if err != nil {
		return 0 // empty: others were refused when the settings were read
	}
	return time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
}

func timeOfDay(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
}
