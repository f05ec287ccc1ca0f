package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"whatsappd/task"
)

// stepsMost is how many steps of one task are kept: a task that is tried again and again must not fill the disk.
const stepsMost = 200

const confirmTasks = `UPDATE task SET delivery_at = CASE WHEN delivery < ?1 THEN ?2 ELSE delivery_at END,
	delivery = max(delivery, ?1),
	delivered_by = CASE WHEN delivered_by = 'phone' OR ?3 = '' THEN delivered_by ELSE ?3 END
	WHERE account = ?4 AND message_id = ?5 AND message_id <> '' RETURNING seq`

// unproven selects the tasks of a message that did not end as sent.
const unproven = `SELECT ` + taskColumns + ` FROM task
	WHERE account = ? AND message_id = ? AND message_id <> '' AND verdict <> 'yes' AND state <> 'running'`

// Confirm implements task.Keeper.
func (db *DB) Confirm(ctx context.Context, c task.Confirmation) (count int, queued []task.Task, err error) {
	err = db.writer.do(ctx, func(ctx context.Context, q queries) error {
		count, queued = 0, nil
		for _, id := range c.MessageIDs {
			confirmed, err := confirm(ctx, q, c, id)
			if err != nil {
				return err
			}
			count += confirmed
			if confirmed == 0 || c.Kind == task.ConfirmAskAgain {
				continue
			}
			waits, err := prove(ctx, q, c, id)
			if err != nil {
				return err
			}
			queued = append(queued, waits...)
		}
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("keep a receipt: %w", err)
	}
	return count, queued, nil
}

// prove makes a contact of the recipient of a message that arrived without having been taken for sent, and returns its tasks
// that are queued.
func prove(ctx context.Context, q queries, c task.Confirmation, messageID string) (queued []task.Task, err error) {
	tasks, err := queryTasks(ctx, q, unproven, c.Account, messageID)
	for _, t := range tasks {
		if err == nil && t.Contact.ID != "" {
			err = firstSent(ctx, q, c.Account, t.Contact.ID, c.At)
		}
		if t.State == task.Queued {
			queued = append(queued, t)
		}
	}
	return queued, err
}

// confirm keeps one receipt of one message.
func confirm(ctx context.Context, q queries, c task.Confirmation, messageID string) (int, error) {
	var delivery task.Delivery
	step := task.Step{At: c.At, Detail: deviceName(c.Device)}
	by := task.ByPhone
	if c.Device != 0 {
		by = task.ByCompanion
	}
	switch c.Kind {
	case task.ConfirmRead:
		delivery, step.What = task.DeliveryRead, task.StepRead
	case task.ConfirmDelivered:
		delivery, step.What = task.DeliveryDelivered, task.StepDelivered
	case task.ConfirmAnswered:
		delivery, step.What, by = task.DeliveryAccepted, task.StepAnswered, task.ByNobody
	default:
		delivery, step.What, by = task.DeliveryAccepted, task.StepAskedFor, task.ByNobody
	}
	seqs, err := change(ctx, q, confirmTasks, delivery, millis(c.At), by, c.Account, messageID)
	if err != nil {
		return 0, err
	}
	for _, seq := range seqs {
		if err := noteReceipt(ctx, q, seq, step); err != nil {
			return 0, err
		}
	}
	return len(seqs), nil
}

// noteReceipt adds the step of a receipt, once for each device, and gives a message up that a device asked for too often.
func noteReceipt(ctx context.Context, q queries, seq int64, step task.Step) error {
	var same int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM task_step WHERE task = ? AND what = ? AND detail = ?`,
		seq, step.What, step.Detail).Scan(&same)
	if err != nil || same > 0 && step.What != task.StepAskedFor {
		return err
	}
	if err := addSteps(ctx, q, seq, []task.Step{step}); err != nil {
		return err
	}
	if step.What == task.StepAskedFor && same+1 >= task.AsksMost {
		_, err = q.ExecContext(ctx, `UPDATE task SET delivery = ?1, delivery_at = ?2 WHERE seq = ?3 AND delivery < ?1`,
			task.DeliveryUnreadable, millis(step.At), seq)
	}
	return err
}

// deviceName is how steps call a recipient's device.
func deviceName(device uint16) string {
	if device == 0 {
		return "phone"
	}
	return "device " + strconv.Itoa(int(device))
}

const overdueTasks = `UPDATE task SET delivery = 2, delivery_at = ?1 WHERE seq IN (SELECT seq FROM task
	WHERE account = ?2 AND delivery = 1 AND delivery_at < ?3 ORDER BY delivery_at LIMIT ?4) RETURNING seq`

// Overdue implements task.Keeper. The numbers in its statement are task.DeliveryServerAck and task.DeliveryTimeout: SQLite
// uses an index of some rows only for a constant.
func (db *DB) Overdue(ctx context.Context, account string, ackedBefore, now time.Time) (int, error) {
	total, err := inChunks(func(limit int) (int, error) {
		var seqs []int64
		err := db.writer.do(ctx, func(ctx context.Context, q queries) (err error) {
			seqs, err = change(ctx, q, overdueTasks, millis(now), account, millis(ackedBefore), limit)
			for _, seq := range seqs {
				if err == nil {
					err = addSteps(ctx, q, seq, []task.Step{{At: now, What: task.StepTimeout}})
				}
			}
			return err
		})
		return len(seqs), err
	})
	if err != nil {
		return total, fmt.Errorf("mark messages that nobody confirmed: %w", err)
	}
	return total, nil
}

// change runs a statement that returns the seq of each row it changed.
func change(ctx context.Context, q queries, query string, args ...any) (seqs []int64, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		seqs = append(seqs, seq)
	}
	return seqs, rows.Err()
}

// addSteps appends steps to a task, up to what is kept.
func addSteps(ctx context.Context, q queries, seq int64, steps []task.Step) error {
	if len(steps) == 0 {
		return nil
	}
	var next int
	if err := q.QueryRowContext(ctx, `SELECT coalesce(max(n), 0) + 1 FROM task_step WHERE task = ?`, seq).Scan(&next); err != nil {
		return err
	}
	for _, step := range steps {
		if next > stepsMost {
			return nil
		}
		_, err := q.ExecContext(ctx, `INSERT INTO task_step (task, n, at, what, detail) VALUES (?, ?, ?, ?, ?)`,
			seq, next, millis(step.At), step.What, step.Detail)
		if err != nil {
			return err
		}
		next++
	}
	return nil
}

// Timeline implements task.Keeper. Steps come in order of time: receipts may be written before the end of the attempt that
// they belong to. The first one is the acceptance.
func (db *DB) Timeline(ctx context.Context, id task.ID) ([]task.Step, error) {
	steps, err := timeline(ctx, db.reads, id)
	if err != nil {
		return nil, fmt.Errorf("read the steps of task %s: %w", id, err)
	}
	return steps, nil
}

func timeline(ctx context.Context, q queries, id task.ID) ([]task.Step, error) {
	rows, err := q.QueryContext(ctx, `SELECT created, 'queued', '', 0 AS n FROM task WHERE id = ?1
		UNION ALL SELECT at, what, detail, n FROM task_step WHERE task = (SELECT seq FROM task WHERE id = ?1)
		ORDER BY 1, n`, id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var steps []task.Step
	for rows.Next() {
		var step task.Step
		var n int
		if err := rows.Scan(moment{&step.At}, &step.What, &step.Detail, &n); err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	if len(steps) == 0 && rows.Err() == nil {
		return nil, task.ErrNotFound
	}
	return steps, rows.Err()
}

// codes writes texts as a JSON array.
func codes(all []string) string {
	encoded, _ := json.Marshal(append([]string{}, all...)) // texts can always be written
	return string(encoded)
}

// codesInto scans what codes wrote into the slice it holds.
type codesInto struct{ texts *[]string }

// Scan implements sql.Scanner.
func (l codesInto) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("texts are kept as %T", value)
	}
	*l.texts = nil
	if text == "[]" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), l.texts); err != nil {
		return fmt.Errorf("texts that are kept: %w", err)
	}
	return nil
}
