package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"whatsappd/task"
)

const oneContact = `SELECT c.id, coalesce(c.phone, ''), coalesce(c.lid, ''), coalesce(h.first_sent_at, 0), coalesce(h.first_heard_at, 0),
	coalesce(h.last_heard_at, 0), coalesce(o.at, 0)
	FROM contact AS c LEFT JOIN chat AS h ON h.contact = c.id LEFT JOIN optout AS o ON o.contact = c.id WHERE c.id = ` + theirs

// Contact returns what is known of the person behind an address: a number in any of its forms, a LID, or a contact's ID. The
// zero value when nothing is.
func (db *DB) Contact(ctx context.Context, account, address string) (task.Contact, error) {
	var c task.Contact
	err := db.reads.QueryRowContext(ctx, oneContact, account, address).
		Scan(&c.ID, &c.Phone, &c.LID, moment{&c.FirstSent}, moment{&c.FirstHeard}, moment{&c.LastHeard}, moment{&c.OptedOut})
	if errors.Is(err, sql.ErrNoRows) {
		return task.Contact{}, nil
	}
	if err != nil {
		return task.Contact{}, fmt.Errorf("look up a contact: %w", err)
	}
	return c, nil
}

// releaseChat is for the messages to a contact that wait because it is a stranger. One that runs does not wait; it is named for
// the sake of the index.
const releaseChat = `UPDATE task INDEXED BY task_chat` + release + `state IN ('queued', 'running')
	AND contact = ?3 AND reason IN ('` + task.ReasonSettling + `', '` + task.ReasonColdDay + `', '` + task.ReasonLocked + `', '` + task.ReasonQuota + `')`

// Heard implements task.Keeper. Times may come in any order.
func (db *DB) Heard(ctx context.Context, account string, from task.Address, at, now time.Time) error {
	err := db.remap(ctx, func(ctx context.Context, m *mapping) error {
		if err := m.of(ctx, account, now); err != nil {
			return err
		}
		id, err := m.learn(ctx, from)
		if err != nil {
			return err
		}
		_, err = m.q.ExecContext(ctx, `INSERT INTO chat (contact, account, last_heard_at, first_heard_at) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT DO UPDATE SET last_heard_at = max(last_heard_at, excluded.last_heard_at),
			first_heard_at = CASE first_heard_at WHEN 0 THEN excluded.first_heard_at ELSE first_heard_at END`,
			id, account, millis(at), millis(now))
		if err == nil {
			_, err = m.q.ExecContext(ctx, releaseChat, millis(now), account, id)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keep that a contact wrote: %w", err)
	}
	return nil
}

// firstSent keeps when the account first wrote to a contact.
func firstSent(ctx context.Context, q queries, account, contact string, at time.Time) error {
	_, err := q.ExecContext(ctx, `INSERT INTO chat (contact, account, first_sent_at) VALUES (?, ?, ?)
		ON CONFLICT DO UPDATE SET first_sent_at = excluded.first_sent_at WHERE first_sent_at = 0`, contact, account, millis(at))
	return err
}

// OptOut keeps that the people behind addresses (numbers, LIDs, contact IDs) want no messages. It is no error when they are on
// the list already; an ID of nobody is task.ErrNoContact.
func (db *DB) OptOut(ctx context.Context, account string, addresses []string, at time.Time) error {
	err := db.remap(ctx, func(ctx context.Context, m *mapping) error {
		if err := m.of(ctx, account, at); err != nil {
			return err
		}
		for _, address := range addresses {
			id, err := m.need(ctx, address)
			if err != nil {
				return err
			}
			_, err = m.q.ExecContext(ctx, `INSERT INTO optout (contact, at) VALUES (?, ?) ON CONFLICT DO NOTHING`, id, millis(at))
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

// OptIn takes the contact behind an address off the list of those that want no messages.
func (db *DB) OptIn(ctx context.Context, account, address string) error {
	_, err := db.change(ctx, `DELETE FROM optout WHERE contact = `+theirs, account, address)
	if err != nil {
		return fmt.Errorf("end an opt-out: %w", err)
	}
	return nil
}

const textRecipients = `SELECT count(*) FROM text_sent WHERE account = ? AND hash = ? AND contact <> ? AND at > ?`

// TextRecipients implements task.Keeper.
func (db *DB) TextRecipients(ctx context.Context, account string, hash [32]byte, contact string, since time.Time) (int, error) {
	var count int
	err := db.reads.QueryRowContext(ctx, textRecipients, account, hash[:], contact, millis(since)).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count who got a text: %w", err)
	}
	return count, nil
}

// KeepText implements task.Keeper.
func (db *DB) KeepText(ctx context.Context, account string, hash [32]byte, contact string, at time.Time) error {
	_, err := db.change(ctx, `INSERT INTO text_sent (account, hash, contact, at) VALUES (?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET at = excluded.at`, account, hash[:], contact, millis(at))
	if err != nil {
		return fmt.Errorf("keep who got a text: %w", err)
	}
	return nil
}

// The statements of Activity, each with the account and the start of the time it looks at.
const (
	newChats = `SELECT count(*) FROM chat WHERE account = ? AND first_sent_at > 0 AND first_sent_at >= ?
		AND (first_heard_at = 0 OR first_heard_at >= first_sent_at)`
	replies = `SELECT count(*) FROM chat WHERE account = ? AND first_heard_at > 0 AND first_heard_at >= ?
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
