package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"whatsappd/callback"
	"whatsappd/task"
)

var _ callback.Keeper = (*DB)(nil)

// NextDelivery implements callback.Keeper.
func (db *DB) NextDelivery(ctx context.Context, full []string) (time.Time, bool, error) {
	list, err := json.Marshal(append([]string{}, full...)) // a list even when there are none
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look for the next due callback: %w", err)
	}
	var ms int64
	err = db.reads.QueryRowContext(ctx, nextCallback, string(list)).Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look for the next due callback: %w", err)
	}
	return fromMillis(ms), true, nil
}

// Without being told, SQLite prefers the index by state and sorts all that are due.
const nextCallback = `SELECT next_at FROM callback INDEXED BY callback_due WHERE state = 'due' AND next_at >= 0
	AND destination NOT IN (SELECT value FROM json_each(?)) ORDER BY next_at, id LIMIT 1`

const deliveryColumns = `id, coalesce(task_id, ''), event, url, body, state, attempt, next_at, last_status, last_error, created, finished`

// addReport queues what a finished task reports.
func addReport(ctx context.Context, q queries, id task.ID, c task.Callback, now time.Time) error {
	return addCallback(ctx, q, callback.Delivery{TaskID: id, URL: c.URL, Body: c.Body, Created: now})
}

// addEvent queues what the operator's receiver is told.
func addEvent(ctx context.Context, q queries, e callback.Event) error {
	return addCallback(ctx, q, callback.Delivery{Event: e.Code, URL: e.URL, Body: e.Body, Created: e.At})
}

// addCallback queues a new delivery, due at once.
func addCallback(ctx context.Context, q queries, d callback.Delivery) error {
	key, err := uuid.NewV7()
	if err != nil {
		return err
	}
	if d.Body == nil {
		d.Body = []byte{} // nil would be NULL
	}
	_, err = q.ExecContext(ctx, `INSERT INTO callback (id, task_id, event, url, destination, body, next_at, created)
		VALUES (?, nullif(?, ''), ?, ?, ?, ?, ?, ?)`, "cb_"+key.String(), d.TaskID, d.Event, d.URL, callback.Destination(d.URL), d.Body,
		millis(d.Created), millis(d.Created))
	return err
}

const dueCallbacks = `SELECT ` + deliveryColumns + ` FROM callback INDEXED BY callback_due
	WHERE state = 'due' AND next_at <= ?
	AND destination NOT IN (SELECT value FROM json_each(?)) ORDER BY next_at, id LIMIT ?`

// ClaimDue implements callback.Keeper.
func (db *DB) ClaimDue(ctx context.Context, now time.Time, room callback.Room) ([]callback.Delivery, error) {
	list, err := json.Marshal(room.Full())
	if err != nil {
		return nil, fmt.Errorf("claim callbacks: %w", err)
	}
	var claimed []callback.Delivery
	err = db.writer.ride(ctx, func(ctx context.Context, q queries) error {
		due, err := queryDeliveries(ctx, q, dueCallbacks, millis(now), string(list), room.All)
		if err != nil {
			return err
		}
		for _, d := range due {
			if room.Take(callback.Destination(d.URL)) {
				claimed = append(claimed, d)
			}
		}
		for i := range claimed {
			d := &claimed[i]
			d.State = callback.Sending
			d.Attempt++
			_, err := q.ExecContext(ctx, `UPDATE callback SET state = 'sending', attempt = attempt + 1 WHERE id = ?`, d.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim callbacks: %w", err)
	}
	return claimed, nil
}

// Record implements callback.Keeper. A delivery that does not exist is callback.ErrNotFound.
func (db *DB) Record(ctx context.Context, d callback.Delivery, a callback.Attempt) error {
	err := db.writer.ride(ctx, func(ctx context.Context, q queries) error {
		result, err := q.ExecContext(ctx, `UPDATE callback SET state = ?, next_at = ?, last_status = ?, last_error = ?, finished = ?
			WHERE id = ?`, d.State, millis(d.NextAt), d.LastStatus, d.LastError, millis(d.Finished), d.ID)
		if err != nil {
			return err
		}
		if changed, err := result.RowsAffected(); err != nil {
			return err
		} else if changed == 0 {
			return callback.ErrNotFound
		}
		_, err = q.ExecContext(ctx, `INSERT INTO callback_attempt (callback_id, n, at, took_ms, status, error)
			VALUES (?, ?, ?, ?, ?, ?)`, d.ID, a.N, millis(a.At), a.Took.Milliseconds(), a.Status, a.Error)
		return err
	})
	if err != nil {
		return fmt.Errorf("record an attempt of callback %s: %w", d.ID, err)
	}
	return nil
}

// RecoverDeliveries implements callback.Keeper.
func (db *DB) RecoverDeliveries(ctx context.Context) (int, error) {
	count, err := db.change(ctx, `UPDATE callback SET state = 'due' WHERE state = 'sending'`)
	if err != nil {
		return 0, fmt.Errorf("put callbacks back: %w", err)
	}
	return count, nil
}

// Deliveries implements callback.Keeper.
func (db *DB) Deliveries(ctx context.Context, state callback.State, before string, limit int) ([]callback.Delivery, error) {
	query, args := `SELECT `+deliveryColumns+` FROM callback WHERE true`, []any{}
	if state != "" {
		query, args = query+` AND state = ?`, append(args, state)
	}
	if before != "" {
		query, args = query+` AND id < ?`, append(args, before)
	}
	deliveries, err := queryDeliveries(ctx, db.reads, query+` ORDER BY id DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list callbacks: %w", err)
	}
	return deliveries, nil
}

// Attempts implements callback.Keeper.
func (db *DB) Attempts(ctx context.Context, id string) ([]callback.Attempt, error) {
	attempts, err := queryAttempts(ctx, db.reads, id)
	if err != nil {
		return nil, fmt.Errorf("list the attempts of callback %s: %w", id, err)
	}
	return attempts, nil
}

// Replay implements callback.Keeper.
func (db *DB) Replay(ctx context.Context, id string, now time.Time) error {
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		var state callback.State
		err := q.QueryRowContext(ctx, `SELECT state FROM callback WHERE id = ?`, id).Scan(&state)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return callback.ErrNotFound
		case err != nil:
			return err
		case state != callback.Dead:
			return callback.ErrNotDead
		}
		_, err = q.ExecContext(ctx, `UPDATE callback SET state = 'due', attempt = 0, next_at = ?, finished = 0 WHERE id = ?`,
			millis(now), id)
		return err
	})
	if err != nil {
		return fmt.Errorf("replay callback %s: %w", id, err)
	}
	return nil
}

// DeliveryCounts implements callback.Keeper.
func (db *DB) DeliveryCounts(ctx context.Context) (map[callback.State]int, error) {
	counts, err := countStates[callback.State](ctx, db.reads, `SELECT state, count(*) FROM callback GROUP BY state`)
	if err != nil {
		return nil, fmt.Errorf("count callbacks: %w", err)
	}
	return counts, nil
}

func queryDeliveries(ctx context.Context, q queries, query string, args ...any) ([]callback.Delivery, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var deliveries []callback.Delivery
	for rows.Next() {
		var d callback.Delivery
		err := rows.Scan(&d.ID, &d.TaskID, &d.Event, &d.URL, &d.Body, &d.State, &d.Attempt, moment{&d.NextAt}, &d.LastStatus, &d.LastError,
			moment{&d.Created}, moment{&d.Finished})
		if err != nil {
			return nil, err
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, rows.Err()
}

func queryAttempts(ctx context.Context, q queries, id string) ([]callback.Attempt, error) {
	rows, err := q.QueryContext(ctx, `SELECT callback_id, n, at, took_ms, status, error FROM callback_attempt
		WHERE callback_id = ? ORDER BY seq`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var attempts []callback.Attempt
	for rows.Next() {
		var a callback.Attempt
		var took int64
		if err := rows.Scan(&a.DeliveryID, &a.N, moment{&a.At}, &took, &a.Status, &a.Error); err != nil {
			return nil, err
		}
		a.Took = time.Duration(took) * time.Millisecond
		attempts = append(attempts, a)
	}
	return attempts, rows.Err()
}
