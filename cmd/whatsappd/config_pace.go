package main

import "time"

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
	Settle     time.Duration `yaml:"settle"`     // no cold message so long after pairing
	QuietFrom  string        `yaml:"quiet_from"` // "22:00", local time; empty with quiet_to is none
	QuietTo    string        `yaml:"quiet_to"`
}

func defaultPace() paceConfig {
	return paceConfig{
		ColdGapMin: 6 * time.Second,
		ColdGapMax: 20 * time.Second,
		WarmGapMin: time.Second,
		WarmGapMax: 3 * time.Second,
		PerMinute:  10,
		PerHour:    120,
		PerDay:     500,
		Settle:     2 * time.Minute,
	}
}
