package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"whatsappd/session"
	"whatsappd/task"
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
	rows, err := q.QueryContext(ctx, `SELECT n.number, n.verdict,
		CASE n.verdict WHEN ?3 THEN coalesce(c.phone, n.number) ELSE '' END, CASE n.verdict WHEN ?3 THEN coalesce(c.lid, '') ELSE '' END, n.checked_at
		FROM contact_number AS n JOIN contact AS c ON c.id = n.contact
		WHERE n.account = ?1 AND n.number IN (SELECT value FROM json_each(?2)) AND n.verdict <> ''`, account, string(list), session.Registered)
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

// KeepChecked implements session.Keeper. A late answer does not replace a newer one.
func (db *DB) KeepChecked(ctx context.Context, account session.AccountID, answers []session.Checked) error {
	err := db.remap(ctx, func(ctx context.Context, m *mapping) error {
		for _, answer := range answers {
			if answer.Verdict == session.Unknown {
				continue
			}
			if err := m.of(ctx, string(account), answer.At); err != nil {
				return err
			}
			if err := keepChecked(ctx, m, answer); err != nil {
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

// keepChecked keeps one answer, and what it says about who is who. The answer is kept under the number that was asked: that is
// what is asked again, whether or not it leads to anybody.
func keepChecked(ctx context.Context, m *mapping, answer session.Checked) error {
	var newer int
	err := m.q.QueryRowContext(ctx, `SELECT count(*) FROM contact_number WHERE account = ? AND number = ? AND checked_at > ?`,
		m.account, answer.Number, millis(answer.At)).Scan(&newer)
	if err != nil || newer > 0 {
		return err
	}
	if answer.Verdict == session.Registered {
		who := task.Address{Number: string(cmp.Or(answer.Canonical, answer.Number)), LID: answer.LID}
		_, err = m.learn(ctx, who, string(answer.Number))
	} else {
		_, err = m.need(ctx, string(answer.Number))
	}
	if err != nil {
		return err
	}
	_, err = m.q.ExecContext(ctx, `UPDATE contact_number SET verdict = ?, checked_at = ? WHERE account = ? AND number = ?`,
		answer.Verdict, millis(answer.At), m.account, answer.Number)
	return err
}

const checkTimes = `SELECT checked_at FROM contact_number WHERE account = ? AND checked_at >= ? AND checked_at > 0 ORDER BY checked_at`

// CheckTimes implements session.Keeper.
func (db *DB) CheckTimes(ctx context.Context, account session.AccountID, since time.Time) ([]time.Time, error) {
	rows, err := db.reads.QueryContext(ctx, checkTimes, account, millis(since))
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
