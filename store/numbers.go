package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"whatsappd/session"
)

// CheckedNumbers implements session.Keeper.
func (db *DB) CheckedNumbers(ctx context.Context, account session.AccountID, numbers []session.Number) (
	map[session.Number]session.Checked, error,
) {
	known, err := checkedNumbers(ctx, db.reads, account, numbers)
	if err != nil {
		return nil, fmt.Errorf("look up checked numbers: %w", err)
	}
	return known, nil
}

func checkedNumbers(ctx context.Context, q queries, account session.AccountID, numbers []session.Number) (
	map[session.Number]session.Checked, error,
) {
	list, err := json.Marshal(append([]session.Number{}, numbers...)) // a list even when there are none
	if err != nil {
		return nil, err
	}
	rows, err := q.QueryContext(ctx, `SELECT number, verdict, canonical, lid, checked_at FROM check_cache
		WHERE account = ? AND number IN (SELECT value FROM json_each(?))`, account, string(list))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[session.Number]session.Checked{}
	for rows.Next() {
		var c session.Checked
		if err := rows.Scan(&c.Number, &c.Verdict, &c.Canonical, &c.LID, moment{&c.At}); err != nil {
			return nil, err
		}
		known[c.Number] = c
	}
	return known, rows.Err()
}

// A late answer does not replace a newer one.
const keepChecked = `INSERT INTO check_cache (account, number, verdict, canonical, lid, checked_at) VALUES (?, ?, ?, ?, ?, ?)
	ON CONFLICT DO UPDATE SET verdict = excluded.verdict, canonical = excluded.canonical, lid = excluded.lid,
	checked_at = excluded.checked_at WHERE excluded.checked_at >= checked_at`

// KeepChecked implements session.Keeper.
func (db *DB) KeepChecked(ctx context.Context, account session.AccountID, answers []session.Checked) error {
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		if err := needAccount(ctx, q, string(account)); err != nil {
			return err
		}
		for _, a := range answers {
			if a.Verdict == session.Unknown {
				continue
			}
			_, err := q.ExecContext(ctx, keepChecked, account, a.Number, a.Verdict, a.Canonical, a.LID, millis(a.At))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep checked numbers: %w", err)
	}
	return nil
}

// CheckTimes implements session.Keeper.
func (db *DB) CheckTimes(ctx context.Context, account session.AccountID, since time.Time) ([]time.Time, error) {
	rows, err := db.reads.QueryContext(ctx, `SELECT checked_at FROM check_cache WHERE account = ? AND checked_at >= ? ORDER BY checked_at`,
		account, millis(since))
	if err != nil {
		return nil, fmt.Errorf("read when numbers were checked: %w", err)
	}
	defer rows.Close()
	var times []time.Time
	for rows.Next() {
		var at time.Time
		if err := rows.Scan(moment{&at}); err != nil {
			return nil, fmt.Errorf("read when numbers were checked: %w", err)
		}
		times = append(times, at)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read when numbers were checked: %w", err)
	}
	return times, nil
}
