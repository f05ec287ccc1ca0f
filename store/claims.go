package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"whatsappd/task"
)

// due selects the queued tasks of a class.
const due = ` FROM task WHERE account = ? AND class = ? AND state = 'queued'`

// alone holds while no task of the class runs for the account.
const alone = ` AND NOT EXISTS (SELECT 1 FROM task AS r
	WHERE r.account = task.account AND r.class = task.class AND r.state = 'running')`

// first holds for messages that no earlier unfinished message to the same contact is in front of. Where it is used, the class
// is spelt out so that SQLite sees that its index on unfinished messages serves.
const first = ` AND NOT EXISTS (SELECT 1 FROM task AS e
	WHERE e.contact = task.contact AND e.seq < task.seq
	AND e.class = 'message' AND e.state IN ('queued', 'running'))`

// cold holds for tasks to people who never wrote to the account and to whom it never wrote.
const cold = `NOT EXISTS (SELECT 1 FROM chat AS c WHERE c.contact = task.contact AND (c.first_sent_at > 0 OR c.last_heard_at > 0))`

// kept is the class under which the tasks of a class are kept.
func kept(class task.Class) task.Class {
	if class == task.ClassWarm {
		return task.ClassMessage
	}
	return class
}

// workable selects the queued tasks of a class that nothing but time keeps from being worked.
func workable(class task.Class) string {
	switch class {
	case task.ClassMessage:
		return due + alone + first
	case task.ClassWarm:
		return due + alone + first + ` AND NOT ` + cold
	case task.ClassControl:
		return due + alone
	default:
		return due
	}
}

// Claim implements task.Keeper. Control tasks run one at a time like messages.
func (db *DB) Claim(ctx context.Context, account string, class task.Class, now time.Time, limit int) ([]task.Task, error) {
	if class != task.ClassCheck {
		limit = min(limit, 1)
	}
	var tasks []task.Task
	err := db.writer.do(ctx, func(ctx context.Context, q queries) (err error) {
		tasks, err = queryTasks(ctx, q, `SELECT `+taskColumns+workable(class)+` AND not_before <= ? ORDER BY seq LIMIT ?`,
			account, kept(class), millis(now), limit)
		if err != nil || len(tasks) == 0 {
			return err
		}
		return begin(ctx, q, tasks, now)
	})
	if err != nil {
		return nil, fmt.Errorf("claim tasks: %w", err)
	}
	return tasks, nil
}

// begin marks tasks as running, in the ledger and in the slice.
func begin(ctx context.Context, q queries, tasks []task.Task, now time.Time) error {
	seqs := make([]int64, len(tasks))
	for i := range tasks {
		t := &tasks[i]
		seqs[i] = t.Seq
		t.State = task.Running
		t.Attempt++
		if t.Started.IsZero() {
			t.Started = fromMillis(millis(now))
		}
	}
	list, err := json.Marshal(seqs)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `UPDATE task SET state = 'running', attempt = attempt + 1,
		started = CASE started WHEN 0 THEN ? ELSE started END
		WHERE seq IN (SELECT value FROM json_each(?))`, millis(now), string(list))
	return err
}

// NextDue implements task.Keeper. The time is never before now. A task that waits for another one to end has no time: look
// again after that end.
func (db *DB) NextDue(ctx context.Context, account string, class task.Class, now time.Time) (time.Time, bool, error) {
	var ms sql.NullInt64
	err := db.reads.QueryRowContext(ctx, `SELECT min(not_before)`+workable(class), account, kept(class)).Scan(&ms)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look for the next due task: %w", err)
	}
	if !ms.Valid {
		return time.Time{}, false, nil
	}
	return fromMillis(max(ms.Int64, millis(now))), true, nil
}

const requeueTask = `UPDATE task SET state = 'queued', attempt = ?, maybe_sent = ?, not_before = ?, reason = ?, waited_ms = ?,
	code = ?, wa_code = ?, detail = ?, canonical = coalesce(nullif(?, ''), canonical), lid = coalesce(nullif(?, ''), lid), warnings = ?
	WHERE id = ? AND state = 'running' RETURNING seq`

// Requeue implements task.Keeper. A task that does not run is left as it is.
func (db *DB) Requeue(ctx context.Context, tasks []task.Task) error {
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		for _, t := range tasks {
			if err := requeue(ctx, q, t); err != nil {
				return fmt.Errorf("task %s: %w", t.ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put tasks back: %w", err)
	}
	return nil
}

func requeue(ctx context.Context, q queries, t task.Task) error {
	var seq int64
	err := q.QueryRowContext(ctx, requeueTask, t.Attempt, t.MaybeSent, millis(t.NotBefore), t.Reason, t.Waited.Milliseconds(),
		t.Code, t.WACode, t.Detail, t.Canonical, t.LID, codes(t.Warnings), t.ID).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return addSteps(ctx, q, seq, t.Steps)
}

const release = ` SET not_before = ?1, waited_ms = max(0, waited_ms - (not_before - ?1))
	WHERE account = ?2 AND class = 'message' AND not_before > ?1 AND `

const releaseTasks = `UPDATE task` + release + `state = 'queued' AND reason = ?3`

// Release implements task.Keeper.
func (db *DB) Release(ctx context.Context, account, reason string, now time.Time) error {
	if _, err := db.change(ctx, releaseTasks, millis(now), account, reason); err != nil {
		return fmt.Errorf("let messages go on that waited: %w", err)
	}
	return nil
}

const waiting = `SELECT ` + taskColumns + due + ` ORDER BY seq LIMIT ?`

// Waiting implements task.Keeper.
func (db *DB) Waiting(ctx context.Context, account string, class task.Class, limit int) ([]task.Task, error) {
	tasks, err := queryTasks(ctx, db.reads, waiting, account, kept(class), limit)
	if err != nil {
		return nil, fmt.Errorf("list waiting tasks: %w", err)
	}
	return tasks, nil
}

// Recover implements task.Keeper.
func (db *DB) Recover(ctx context.Context) (int, error) {
	count, err := db.change(ctx, `UPDATE task SET state = 'queued', maybe_sent = max(maybe_sent, class = 'message')
		WHERE state = 'running'`)
	if err != nil {
		return 0, fmt.Errorf("put running tasks back: %w", err)
	}
	return count, nil
}

// change runs one statement through the writer and returns how many rows it touched.
func (db *DB) change(ctx context.Context, query string, args ...any) (int, error) {
	var count int64
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		result, err := q.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		count, err = result.RowsAffected()
		return err
	})
	return int(count), err
}
