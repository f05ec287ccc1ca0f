package store

import (
	"context"
	"fmt"

	"whatsappd/task"
)

const impatient = `SELECT ` + taskColumns + ` FROM task WHERE account = ? AND class = ? AND state = 'queued' AND patient = 0 ORDER BY seq LIMIT ?`

// Impatient implements task.Keeper.
func (db *DB) Impatient(ctx context.Context, account string, class task.Class, limit int) ([]task.Task, error) {
	tasks, err := queryTasks(ctx, db.reads, impatient, account, kept(class), limit)
	if err != nil {
		return nil, fmt.Errorf("list tasks that do not wait out a log-out: %w", err)
	}
	return tasks, nil
}
