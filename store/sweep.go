package store

import (
	"context"
	"fmt"
	"time"
)

// sweepChunk is how many rows a sweep touches per commit: everybody else waits for the writer meanwhile.
const sweepChunk = 500

// Callbacks and their attempts go with their task. A callback that is still to be delivered keeps its task.
const deleteTasks = `DELETE FROM task WHERE seq IN (SELECT t.seq FROM task AS t
	WHERE t.finished > 0 AND t.finished < ?
	AND NOT EXISTS (SELECT 1 FROM callback AS c WHERE c.task_id = t.id AND c.state IN ('due', 'sending'))
	ORDER BY t.finished LIMIT ?)`

const blankTexts = `UPDATE task SET text = '' WHERE seq IN (SELECT t.seq FROM task AS t
	WHERE t.finished > 0 AND t.text <> '' AND t.finished < ? ORDER BY t.finished LIMIT ?)`

const forgetTexts = `DELETE FROM text_sent WHERE (account, hash, contact) IN
	(SELECT account, hash, contact FROM text_sent WHERE at < ? LIMIT ?)`

// Sweep implements task.Keeper. The rows it returns are tasks; a task that is deleted takes its callback with it.
func (db *DB) Sweep(ctx context.Context, deleteBefore, blankBefore time.Time) (int, error) {
	deleted, err := db.sweep(ctx, deleteTasks, deleteBefore)
	if err != nil {
		return deleted, fmt.Errorf("delete old tasks: %w", err)
	}
	blanked, err := db.sweep(ctx, blankTexts, blankBefore)
	if err != nil {
		return deleted + blanked, fmt.Errorf("blank old texts: %w", err)
	}
	if _, err := db.sweep(ctx, forgetTexts, blankBefore); err != nil {
		return deleted + blanked, fmt.Errorf("forget who got which text: %w", err)
	}
	return deleted + blanked, nil
}

// sweep repeats a statement until it finds less than a chunk.
func (db *DB) sweep(ctx context.Context, query string, before time.Time) (int, error) {
	total := 0
	for {
		count, err := db.change(ctx, query, millis(before), sweepChunk)
		total += count
		if err != nil || count < sweepChunk {
			return total, err
		}
	}
}
