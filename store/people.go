package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"whatsappd/task"
)

// sameNumber selects all forms of the number ?2 that lead to the same account, as far as WhatsApp was asked.
const sameNumber = `(SELECT ?2 UNION ALL SELECT canonical FROM check_cache WHERE account = ?1 AND number = ?2 AND canonical <> ''
	UNION ALL SELECT number FROM check_cache INDEXED BY check_cache_canonical WHERE account = ?1 AND canonical <> '' AND canonical IN
	(SELECT ?2 UNION ALL SELECT canonical FROM check_cache WHERE account = ?1 AND number = ?2))`

const oneContact = `SELECT coalesce(min(nullif(first_sent_at, 0)), 0), coalesce(min(nullif(first_heard_at, 0)), 0), coalesce(max(last_heard_at), 0),
	(SELECT coalesce(min(at), 0) FROM optout WHERE account = ?1 AND number IN ` + sameNumber + `)
	FROM contact WHERE account = ?1 AND number IN ` + sameNumber

// Contact implements task.Keeper.
func (db *DB) Contact(ctx context.Context, account, number string) (task.Contact, error) {
	var c task.Contact
	err := db.reads.QueryRowContext(ctx, oneContact, account, number).
		Scan(moment{&c.FirstSent}, moment{&c.FirstHeard}, moment{&c.LastHeard}, moment{&c.OptedOut})
	if err != nil {
		return task.Contact{}, fmt.Errorf("look up a contact: %w", err)
	}
	return c, nil
}

// releaseChat is for the messages to a number, in all its forms, that wait because it is a stranger's. One that runs does not
// wait; it is named for the sake of the index.
const releaseChat = `UPDATE task INDEXED BY task_chat` + release + `state IN ('queued', 'running')
	AND number IN (SELECT ?3 UNION ALL SELECT number FROM check_cache WHERE account = ?2 AND canonical = ?3)
	AND reason IN ('` + task.ReasonSettling + `', '` + task.ReasonColdDay + `', '` + task.ReasonLocked + `')`

// Heard implements task.Keeper. Times may come in any order.
func (db *DB) Heard(ctx context.Context, account, number string, at, now time.Time) error {
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		if err := needAccount(ctx, q, account); err != nil {
			return err
		}
		_, err := q.ExecContext(ctx, `INSERT INTO contact (account, number, last_heard_at, first_heard_at) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT DO UPDATE SET last_heard_at = max(last_heard_at, excluded.last_heard_at),
			first_heard_at = CASE first_heard_at WHEN 0 THEN excluded.first_heard_at ELSE first_heard_at END`,
			account, number, millis(at), millis(now))
		if err == nil {
			_, err = q.ExecContext(ctx, releaseChat, millis(now), account, number)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keep that a contact wrote: %w", err)
	}
	return nil
}

// firstSent keeps when the account first wrote to a number.
func firstSent(ctx context.Context, q queries, account, number string, at time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO contact (account, number, first_sent_at) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET first_sent_at = excluded.first_sent_at WHERE first_sent_at = 0`, account, number, millis(at))
	return err
}

// OptOut keeps that numbers want no messages. It is no error when they are on the list already.
func (db *DB) OptOut(ctx context.Context, account string, numbers []string, at time.Time) error {
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		if err := needAccount(ctx, q, account); err != nil {
			return err
		}
		for _, number := range numbers {
			_, err := q.ExecContext(ctx, `INSERT INTO optout (account, number, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
				account, number, millis(at))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keep an opt-out: %w", err)
	}
	return nil
}

// OptIn takes a number, in all its forms, off the list of those that want no messages.
func (db *DB) OptIn(ctx context.Context, account, number string) error {
	_, err := db.change(ctx, `DELETE FROM optout WHERE account = ?1 AND number IN `+sameNumber, account, number)
	if err != nil {
		return fmt.Errorf("end an opt-out: %w", err)
	}
	return nil
}

const textRecipients = `SELECT count(*) FROM text_sent WHERE account = ? AND hash = ? AND number <> ? AND at > ?`

// TextRecipients implements task.Keeper.
func (db *DB) TextRecipients(ctx context.Context, account string, hash [32]byte, number string, since time.Time) (int, error) {
	var count int
	err := db.reads.QueryRowContext(ctx, textRecipients, account, hash[:], number, millis(since)).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count who got a text: %w", err)
	}
	return count, nil
}

// KeepText implements task.Keeper.
func (db *DB) KeepText(ctx context.Context, account string, hash [32]byte, number string, at time.Time) error {
	_, err := db.change(ctx, `INSERT INTO text_sent (account, hash, number, at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET at = excluded.at`, account, hash[:], number, millis(at))
	if err != nil {
		return fmt.Errorf("keep who got a text: %w", err)
	}
	return nil
}

// The statements of Activity, each with the account and the start of the time it looks at.
const (
	newChats = `SELECT count(*) FROM contact WHERE account = ? AND first_sent_at > 0 AND first_sent_at >= ?
		AND (first_heard_at = 0 OR first_heard_at >= first_sent_at)`
	replies = `SELECT count(*) FROM contact WHERE account = ? AND first_heard_at > 0 AND first_heard_at >= ?
		AND first_sent_at > 0 AND first_heard_at >= first_sent_at`
	failures = `SELECT count(*) FROM task INDEXED BY task_finished WHERE account = ? AND finished > 0 AND finished >= ? AND state = 'failed' AND class = 'message'`
)

// Activity counts what an account did since a time. Failures of tasks that are kept no longer are not in it.
func (db *DB) Activity(ctx context.Context, account string, since time.Time) (task.Activity, error) {
	var a task.Activity
	count := func(query string, into *int) error {
		return db.reads.QueryRowContext(ctx, query, account, millis(since)).Scan(into)
	}
	err := errors.Join(count(newChats, &a.NewChats), count(replies, &a.Replies), count(failures, &a.Failures))
	if err != nil {
		return task.Activity{}, fmt.Errorf("count an account's activity: %w", err)
	}
	return a, nil
}
