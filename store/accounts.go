package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"whatsappd/session"
	"whatsappd/task"
)

// needAccount makes the account's row when it is missing: everything else refers to it.
func needAccount(ctx context.Context, q queries, account string) error {
	_, err := q.ExecContext(ctx, `INSERT INTO account (id) VALUES (?) ON CONFLICT DO NOTHING`, account)
	return err
}

// Facts implements session.Keeper.
func (db *DB) Facts(ctx context.Context, account session.AccountID) (session.Facts, error) {
	f, err := readFacts(ctx, db.reads, account)
	if err != nil {
		return session.Facts{}, fmt.Errorf("read the facts of account %s: %w", account, err)
	}
	return f, nil
}

func readFacts(ctx context.Context, q queries, account session.AccountID) (f session.Facts, err error) {
	err = q.QueryRowContext(ctx, `SELECT number, paired_at, end_state, end_reason, end_detail, ended_at, end_until, by_us,
		phone_seen_at, phone_warned, pairings, reachout_until,
		quota_state, quota_used, quota_total, quota_ends
		FROM account WHERE id = ?`, account).Scan(&f.Number, moment{&f.PairedAt}, &f.EndState, &f.EndReason, &f.EndDetail,
		moment{&f.EndedAt}, moment{&f.EndUntil}, &f.ByUs, moment{&f.PhoneSeen}, &f.PhoneWarned, moments{&f.Pairings}, moment{&f.ReachoutEnd},
		&f.Quota.State, &f.Quota.Used, &f.Quota.Total, moment{&f.Quota.Ends})
	if errors.Is(err, sql.ErrNoRows) {
		return session.Facts{}, nil
	}
	return f, err
}

// KeepFacts implements session.Keeper. What is news in the facts is queued for the operator's receiver in the same commit, so
// that each change is told once whatever happens to the process.
func (db *DB) KeepFacts(ctx context.Context, account session.AccountID, f session.Facts) error {
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		if err := needAccount(ctx, q, string(account)); err != nil {
			return err
		}
		if db.announce == nil {
			return writeFacts(ctx, q, account, f)
		}
		before, err := readFacts(ctx, q, account)
		if err != nil {
			return err
		}
		if err := writeFacts(ctx, q, account, f); err != nil {
			return err
		}
		after, err := readFacts(ctx, q, account) // with times as exact as those of before
		if err != nil {
			return err
		}
		for _, event := range db.announce(account, before, after) {
			if err := addEvent(ctx, q, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep the facts of account %s: %w", account, err)
	}
	return nil
}

func writeFacts(ctx context.Context, q queries, account session.AccountID, f session.Facts) error {
	_, err := q.ExecContext(ctx, `UPDATE account SET number = ?, paired_at = ?, end_state = ?, end_reason = ?, end_detail = ?,
		ended_at = ?, end_until = ?, by_us = ?, phone_seen_at = ?, phone_warned = ?, pairings = ?, reachout_until = ?,
		quota_state = ?, quota_used = ?, quota_total = ?, quota_ends = ?
		WHERE id = ?`, f.Number, millis(f.PairedAt), f.EndState, f.EndReason, f.EndDetail, millis(f.EndedAt), millis(f.EndUntil),
		f.ByUs, millis(f.PhoneSeen), f.PhoneWarned, list(f.Pairings), millis(f.ReachoutEnd),
		f.Quota.State, f.Quota.Used, f.Quota.Total, millis(f.Quota.Ends), account)
	return err
}

// Pace implements task.Keeper.
func (db *DB) Pace(ctx context.Context, account string) (task.PaceState, error) {
	var p task.PaceState
	err := db.reads.QueryRowContext(ctx, `SELECT pace_paired_at, next_send_at, sends, cold_sends FROM account WHERE id = ?`,
		account).Scan(moment{&p.PairedAt}, moment{&p.NextSendAt}, moments{&p.Sends}, moments{&p.ColdSends})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return task.PaceState{}, fmt.Errorf("read the pace of account %s: %w", account, err)
	}
	return p, nil
}

// KeepPace implements task.Keeper.
func (db *DB) KeepPace(ctx context.Context, account string, p task.PaceState) error {
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		if err := needAccount(ctx, q, account); err != nil {
			return err
		}
		return keepPace(ctx, q, account, p)
	})
	if err != nil {
		return fmt.Errorf("keep the pace of account %s: %w", account, err)
	}
	return nil
}

func keepPace(ctx context.Context, q queries, account string, p task.PaceState) error {
	_, err := q.ExecContext(ctx, `UPDATE account SET pace_paired_at = ?, next_send_at = ?, sends = ?, cold_sends = ? WHERE id = ?`,
		millis(p.PairedAt), millis(p.NextSendAt), list(p.Sends), list(p.ColdSends), account)
	return err
}

// list writes times as a JSON array of unix milliseconds.
func list(times []time.Time) string {
	text := []byte{'['}
	for i, t := range times {
		if i > 0 {
			text = append(text, ',')
		}
		text = fmt.Append(text, millis(t))
	}
	return string(append(text, ']'))
}

// moments scans what list wrote into the slice it holds.
type moments struct{ times *[]time.Time }

// Scan implements sql.Scanner.
func (m moments) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("times are kept as %T", value)
	}
	var all []int64
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("times that are kept: %w", err)
	}
	*m.times = nil
	for _, ms := range all {
		*m.times = append(*m.times, fromMillis(ms))
	}
	return nil
}
