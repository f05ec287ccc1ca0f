package main

import (
	"context"
	"log/slog"
	"time"
)

// awaitClock waits while the clock is before the day this program was made. A small machine without a battery starts in 1970
// until its clock is set: what is accepted then would be decades old a minute later, and WhatsApp's certificates are not valid
// yet. It returns the context's error when that ends first.
func awaitClock(ctx context.Context, log *slog.Logger, made time.Time) error {
	const look, remind = time.Second, time.Minute
	told := time.Duration(0)
	for waited := time.Duration(0); time.Now().Before(made); waited += look {
		if waited >= told {
			told += remind
			log.Warn("the machine's clock is wrong: it is before the day this program was made; the daemon begins once it is set",
				"clock", time.Now().UTC().Format(time.RFC3339), "made", made.UTC().Format(time.RFC3339))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
	return nil
}
