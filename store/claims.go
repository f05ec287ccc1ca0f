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

// cold holds for tasks to people who never wrote to the account and to whom it never wrote.
const cold = `NOT EXISTS (SELECT 1 FROM chat AS c WHERE c.contact = task.contact AND (c.first_sent_at > 0 OR c.last_heard_at > 0))`

// kept is the class under which the tasks of a class are kept.
func kept(class task.Class) task.Class {
	if class == task.ClassWarm {
		return task.ClassMessage
	}
	return class
}

// inLine selects the queued tasks of a class that nothing but time keeps from being worked: what waits behind another message to
// the same contact has no time to wake.
func inLine(class task.Class) string {
	if class == task.ClassWarm {
		return ` FROM task INDEXED BY task_warm WHERE account = ?1 AND class = ?2 AND state = 'queued' AND wake IS NOT NULL AND warm = 1`
	}
	return ` FROM task INDEXED BY task_due WHERE account = ?1 AND class = ?2 AND state = 'queued' AND wake IS NOT NULL`
}

// most is how many tasks of a class may be begun, of ?3: while a message or a control task runs, no other one. A limit is looked at
// once; a condition would be for each task that waits.
func most(class task.Class) string {
	if class == task.ClassCheck {
		return `?3`
	}
	return `iif(EXISTS (SELECT 1 FROM task AS r WHERE r.account = ?1 AND r.class = ?2 AND r.state = 'running'), 0, min(?3, 1))`
}

// claimTasks selects what is due, in order of acceptance.
func claimTasks(class task.Class) string {
	return `SELECT ` + taskColumns + inLine(class) + ` AND wake = 0 ORDER BY seq LIMIT ` + most(class)
}

// wakeTasks makes those due whose time has come, so that they stand among the others in order of acceptance.
const wakeTasks = `UPDATE task SET wake = 0 WHERE seq IN (SELECT seq FROM task INDEXED BY task_due
	WHERE account = ? AND class = ? AND state = 'queued' AND wake > 0 AND wake <= ? LIMIT ?)`

// wakeMost is how many tasks are made due in one change: the writer is shared.
const wakeMost = 1000

// Claim implements task.Keeper. Control tasks run one at a time like messages.
func (db *DB) Claim(ctx context.Context, account string, class task.Class, now time.Time, limit int) ([]task.Task, error) {
	var tasks []task.Task
	for more := true; more; {
		err := db.writer.do(ctx, func(ctx context.Context, q queries) (err error) {
			tasks, more, err = claim(ctx, q, account, class, now, limit)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("claim tasks: %w", err)
		}
	}
	return tasks, nil
}

// claim takes tasks, unless there are more to be made due first.
func claim(ctx context.Context, q queries, account string, class task.Class, now time.Time, limit int) (tasks []task.Task, more bool, err error) {
	result, err := q.ExecContext(ctx, wakeTasks, account, kept(class), millis(now), wakeMost)
	if err != nil {
		return nil, false, err
	}
	woken, err := result.RowsAffected()
	if err != nil || woken == wakeMost {
		return nil, true, err
	}
	tasks, err = queryTasks(ctx, q, claimTasks(class), account, kept(class), limit)
	if err != nil || len(tasks) == 0 {
		return nil, false, err
	}
	return tasks, false, begin(ctx, q, tasks, now)
}

// FinishAndClaim implements task.Keeper. Where many tasks are to be made due first it claims none: Claim does that.
func (db *DB) FinishAndClaim(ctx context.Context, ends []task.Finished, account string, class task.Class, now time.Time) ([]task.Task, error) {
	var next []task.Task
	err := db.remap(ctx, func(ctx context.Context, m *mapping) (err error) {
		if err := finishAll(ctx, m, ends); err != nil {
			return err
		}
		next, _, err = claim(ctx, m.q, account, class, now, 1)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("finish tasks and claim the next: %w", err)
	}
	db.writer.soon.Store(len(next) > 0)
	return next, nil
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

// nextWake selects when the first of the tasks that may be begun is due.
func nextWake(class task.Class) string {
	return `SELECT wake` + inLine(class) + ` ORDER BY wake LIMIT ` + most(class)
}

// NextDue implements task.Keeper. The time is never before now. A task that waits for another one to end has no time: look
// again after that end.
func (db *DB) NextDue(ctx context.Context, account string, class task.Class, now time.Time) (time.Time, bool, error) {
	var ms int64
	err := db.reads.QueryRowContext(ctx, nextWake(class), account, kept(class), 1).Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look for the next due task: %w", err)
	}
	return fromMillis(max(ms, millis(now))), true, nil
}

const requeueTask = `UPDATE task SET state = 'queued', attempt = ?, maybe_sent = ?, not_before = ?, reason = ?, waited_ms = ?,
	code = ?, wa_code = ?, detail = ?, canonical = coalesce(nullif(?, ''), canonical), lid = coalesce(nullif(?, ''), lid), warnings = ?,
	wake = iif(wake IS NULL, NULL, ?3)
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

const release = ` SET not_before = ?1, wake = iif(wake IS NULL, NULL, 0), waited_ms = max(0, waited_ms - (not_before - ?1))
	WHERE account = ?2 AND class = 'message' AND not_before > ?1 AND `

const releaseTasks = `UPDATE task` + release + `state = 'queued' AND reason = ?3`

// Release implements task.Keeper.
func (db *DB) Release(ctx context.Context, account, reason string, now time.Time) error {
	if _, err := db.change(ctx, releaseTasks, millis(now), account, reason); err != nil {
		return fmt.Errorf("let messages go on that waited: %w", err)
	}
	return nil
}

const waiting = `SELECT ` + taskColumns + ` FROM task WHERE account = ? AND class = ? AND state = 'queued' ORDER BY seq LIMIT ?`

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
	count, err := db.change(ctx, `UPDATE task SET state = 'queued', maybe_sent = max(maybe_sent, class = 'message' OR kind = 'logout')
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
