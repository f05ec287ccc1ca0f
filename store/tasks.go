package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"whatsappd/task"
)

// taskColumns tells of the contact what is known of it now, whatever was known when the task ran.
const taskColumns = `seq, id, account, kind, number, text, message_id, return_url, for_number, request_id, token_id,
	state, attempt, maybe_sent, not_before, reason, waited_ms, canonical, lid, delivery, delivered_by, delivery_at, warnings,
	verdict, code, wa_code, retry_at, detail, created, started, finished, class = 'message' AND ` + cold + ` AS cold,
	class = 'message' AND EXISTS (SELECT 1 FROM optout AS o WHERE o.contact = task.contact),
	coalesce(contact, ''), coalesce((SELECT phone FROM contact AS c WHERE c.id = task.contact), ''),
	coalesce((SELECT lid FROM contact AS c WHERE c.id = task.contact), ''), patient, checksum`

const insertTask = `INSERT INTO task (id, account, kind, class, number, text, message_id, return_url, for_number,
	idem_key, request_hash, request_id, token_id, created, lid, contact, patient, checksum)
	VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), ?, ?, ?, ?, ?, nullif(?, ''), ?, ?)
	ON CONFLICT (account, idem_key) WHERE idem_key IS NOT NULL DO NOTHING`

// Accept implements task.Keeper.
func (db *DB) Accept(ctx context.Context, w task.New, now time.Time) (task.Accepted, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return task.Accepted{}, fmt.Errorf("accept a task: %w", err)
	}
	accepted := task.Accepted{ID: task.ID(id.String())}
	err = db.remap(ctx, func(ctx context.Context, m *mapping) (err error) {
		if err := m.of(ctx, w.Account, now); err != nil {
			return err
		}
		contact := "" // logins and logouts have none
		if address := cmp.Or(w.Number, w.LID); address != "" {
			if contact, err = m.need(ctx, address); err != nil {
				return err
			}
		}
		result, err := m.q.ExecContext(ctx, insertTask, accepted.ID, w.Account, w.Kind, w.Kind.Class(), w.Number, w.Text,
			w.MessageID, w.ReturnURL, w.ForNumber, w.IdempotencyKey, w.RequestHash, w.RequestID, w.TokenID, millis(now), w.LID, contact, w.Patient,
			checksum(accepted.ID, w.Account, w.Kind, w.Number, w.Text, w.MessageID, w.ReturnURL, w.ForNumber))
		if err != nil {
			return err
		}
		if inserted, err := result.RowsAffected(); err != nil || inserted == 1 {
			return err
		}
		accepted, err = earlier(ctx, m.q, w)
		return err
	})
	if err != nil {
		return task.Accepted{}, fmt.Errorf("accept a task: %w", err)
	}
	return accepted, nil
}

// Earlier implements task.Keeper. It only reads, so that a full disk does not keep it from answering.
func (db *DB) Earlier(ctx context.Context, w task.New) (task.Accepted, error) {
	known, err := earlier(ctx, db.reads, w)
	if errors.Is(err, sql.ErrNoRows) {
		err = task.ErrNotFound
	}
	if err != nil {
		return task.Accepted{}, fmt.Errorf("look for a task by its idempotency key: %w", err)
	}
	return known, nil
}

// earlier finds the task that has this request's idempotency key.
func earlier(ctx context.Context, q queries, w task.New) (task.Accepted, error) {
	known := task.Accepted{Duplicate: true}
	var hash string
	err := q.QueryRowContext(ctx, `SELECT id, request_hash FROM task WHERE account = ? AND idem_key = ?`,
		w.Account, w.IdempotencyKey).Scan(&known.ID, &hash)
	if err == nil && hash != w.RequestHash {
		err = task.ErrIdempotency
	}
	return known, err
}

// Finish implements task.Keeper. A task that does not exist is an error, and then none of the ends is committed.
func (db *DB) Finish(ctx context.Context, ends []task.Finished) error {
	err := db.remap(ctx, func(ctx context.Context, m *mapping) error { return finishAll(ctx, m, ends) })
	if err != nil {
		return fmt.Errorf("finish tasks: %w", err)
	}
	return nil
}

func finishAll(ctx context.Context, m *mapping, ends []task.Finished) error {
	for _, end := range ends {
		if err := finish(ctx, m, end); err != nil {
			return fmt.Errorf("task %s: %w", end.Task.ID, err)
		}
	}
	return nil
}

// What only grows is never lost by an end that does not mention it: a receipt may come before the end is written.
const finishTask = `UPDATE task SET state = ?, verdict = ?, code = ?, detail = ?, finished = ?, reason = '',
	maybe_sent = max(maybe_sent, ?), waited_ms = max(waited_ms, ?),
	canonical = coalesce(nullif(?, ''), canonical), lid = coalesce(nullif(?, ''), lid), warnings = ?,
	delivery_at = CASE WHEN delivery < ?11 THEN ?12 ELSE delivery_at END, delivery = max(delivery, ?11), wa_code = ?13, retry_at = ?14
	WHERE id = ?15 AND state IN ('queued', 'running') RETURNING seq, account, kind, number, coalesce(contact, '')`

// finish ends one task, with everything that follows from it.
func finish(ctx context.Context, m *mapping, end task.Finished) error {
	q, t := m.q, end.Task
	if t.State != task.Done && t.State != task.Failed {
		return fmt.Errorf("%q is not an end", t.State)
	}
	var seq int64
	var account, number, contact string
	var kind task.Kind
	err := q.QueryRowContext(ctx, finishTask, t.State, t.Verdict, t.Code, t.Detail, millis(t.Finished),
		t.MaybeSent, t.Waited.Milliseconds(), t.Canonical, t.LID, codes(t.Warnings), t.Delivery, millis(t.DeliveryAt),
		t.WACode, millis(t.RetryAt), t.ID).
		Scan(&seq, &account, &kind, &number, &contact)
	if errors.Is(err, sql.ErrNoRows) {
		return alreadyFinal(ctx, q, t.ID)
	}
	if err != nil {
		return err
	}
	if err := addSteps(ctx, q, seq, t.Steps); err != nil {
		return err
	}
	if end.Callback != nil && end.Callback.URL != "" {
		if err := addReport(ctx, q, t.ID, *end.Callback, t.Finished); err != nil {
			return err
		}
	}
	if end.Pace != nil {
		if err := keepPace(ctx, q, account, *end.Pace); err != nil {
			return err
		}
	}
	if kind == task.Message && t.Verdict == task.Yes {
		m.account, m.at = account, t.Finished
		return wrote(ctx, m, t, contact, number)
	}
	return nil
}

// wrote keeps that a message went out: who got it, as far as that is known better than before, and that it is no stranger now.
func wrote(ctx context.Context, m *mapping, t task.Task, contact, number string) (err error) {
	if t.Canonical != "" {
		if contact, err = m.learn(ctx, task.Address{Number: t.Canonical, LID: t.LID}, number); err != nil {
			return err
		}
	}
	return firstSent(ctx, m.q, m.account, contact, t.Finished)
}

// alreadyFinal tells a task that has ended before from one that does not exist.
func alreadyFinal(ctx context.Context, q queries, id task.ID) error {
	var one int
	err := q.QueryRowContext(ctx, `SELECT 1 FROM task WHERE id = ?`, id).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return task.ErrNotFound
	}
	return err
}

// Get implements task.Keeper.
func (db *DB) Get(ctx context.Context, id task.ID) (task.Task, error) {
	t, err := scanTask(db.reads.QueryRowContext(ctx, `SELECT `+taskColumns+` FROM task WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = task.ErrNotFound
	}
	if err != nil {
		return task.Task{}, fmt.Errorf("get task %s: %w", id, err)
	}
	return t, nil
}

// List implements task.Keeper.
func (db *DB) List(ctx context.Context, state task.State, before int64, limit int) ([]task.Task, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	query, args := `SELECT `+taskColumns+` FROM task WHERE seq < ?`, []any{before}
	if state != "" {
		query, args = query+` AND state = ?`, append(args, state)
	}
	tasks, err := queryTasks(ctx, db.reads, query+` ORDER BY seq DESC LIMIT ?`, append(args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list tasks: %w", err)
	}
	return tasks, nil
}

// Counts implements task.Keeper.
func (db *DB) Counts(ctx context.Context) (map[task.State]int, error) {
	counts, err := countStates[task.State](ctx, db.reads, `SELECT state, count(*) FROM task GROUP BY state`)
	if err != nil {
		return nil, fmt.Errorf("count tasks: %w", err)
	}
	return counts, nil
}

func countStates[State ~string](ctx context.Context, q queries, query string) (map[State]int, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[State]int{}
	for rows.Next() {
		var state State
		var count int
		if err := rows.Scan(&state, &count); err != nil {
			return nil, err
		}
		counts[state] = count
	}
	return counts, rows.Err()
}

func queryTasks(ctx context.Context, q queries, query string, args ...any) ([]task.Task, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var tasks []task.Task
	for rows.Next() {
		t, err := scanTask(rows)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, rows.Err()
}

// scanTask reads taskColumns.
func scanTask(row interface{ Scan(...any) error }) (t task.Task, err error) {
	var waited, kept int64
	err = row.Scan(&t.Seq, &t.ID, &t.Account, &t.Kind, &t.Number, &t.Text, &t.MessageID, &t.ReturnURL, &t.ForNumber,
		&t.RequestID, &t.TokenID, &t.State, &t.Attempt, &t.MaybeSent, moment{&t.NotBefore}, &t.Reason, &waited,
		&t.Canonical, &t.LID, &t.Delivery, &t.DeliveredBy, moment{&t.DeliveryAt}, codesInto{&t.Warnings},
		&t.Verdict, &t.Code, &t.WACode, moment{&t.RetryAt}, &t.Detail, moment{&t.Created}, moment{&t.Started}, moment{&t.Finished}, &t.Cold, &t.OptedOut,
		&t.Contact.ID, &t.Contact.Phone, &t.Contact.LID, &t.Patient, &kept)
	t.Waited = time.Duration(waited) * time.Millisecond
	t.Damaged = flaw(t, kept)
	return t, err
}
