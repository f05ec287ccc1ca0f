package store

import (
	"context"
	"fmt"
	"time"
)

// A sweep touches so many rows per commit at most; everybody else waits for the writer meanwhile. When a chunk takes longer
// than sweepTime, on a slow disk or with long timelines, the next ones are smaller.
const (
	sweepMost  = 250
	sweepLeast = 10
	sweepTime  = 10 * time.Millisecond
)

// Callbacks and their attempts go with their task. A callback that is still to be delivered keeps its task.
const deleteTasks = `DELETE FROM task WHERE seq IN (SELECT t.seq FROM task AS t
	WHERE t.finished > 0 AND t.finished < ?
	AND NOT EXISTS (SELECT 1 FROM callback AS c WHERE c.task_id = t.id AND c.state IN ('due', 'sending'))
	ORDER BY t.finished LIMIT ?)`

// Events belong to no task, and go as tasks do.
const deleteEvents = `DELETE FROM callback WHERE id IN (SELECT id FROM callback INDEXED BY callback_event
	WHERE task_id IS NULL AND finished > 0 AND finished < ? ORDER BY finished LIMIT ?)`

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
	if _, err := db.sweep(ctx, deleteEvents, deleteBefore); err != nil {
		return deleted, fmt.Errorf("delete old events: %w", err)
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

// sweep repeats a statement until it finds nothing more.
func (db *DB) sweep(ctx context.Context, query string, before time.Time) (int, error) {
	return inChunks(func(limit int) (int, error) {
		return db.change(ctx, query, millis(before), limit)
	})
}

// inChunks repeats a change of so many rows at most until it finds less than that, and returns how many there were.
func inChunks(change func(limit int) (int, error)) (total int, err error) {
	for limit := sweepLeast; ; {
		began := time.Now()
		count, err := change(limit)
		total += count
		if err != nil || count < limit {
			return total, err
		}
		limit = nextChunk(limit, time.Since(began))
	}
}

// nextChunk returns how many rows the next chunk may touch after one that took so long.
func nextChunk(limit int, took time.Duration) int {
	switch {
	case took > sweepTime:
		return max(sweepLeast, limit/2)
	case took < sweepTime/2:
		return min(sweepMost, limit*2)
	}
	return limit
}
