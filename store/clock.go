package store

import (
	"context"
	"fmt"
	"time"
)

// SetBack implements task.Keeper.
func (db *DB) SetBack(ctx context.Context, account string, by time.Duration) error {
	ms := by.Milliseconds()
	err := db.writer.do(ctx, func(ctx context.Context, q queries) error {
		for _, statement := range []string{
			`UPDATE task SET created = created - ?1, not_before = max(0, not_before - ?1), wake = max(0, wake - ?1)
				WHERE account = ?2 AND state IN ('queued', 'running')`,
			`UPDATE callback SET next_at = max(0, next_at - ?1) WHERE state IN ('due', 'sending')
				AND task_id IN (SELECT id FROM task WHERE account = ?2)`,
			`UPDATE account SET next_send_at = max(0, next_send_at - ?1), pace_paired_at = max(0, pace_paired_at - ?1),
				sends = (SELECT json_group_array(value - ?1) FROM json_each(sends)),
				cold_sends = (SELECT json_group_array(value - ?1) FROM json_each(cold_sends)) WHERE id = ?2`,
		} {
			if _, err := q.ExecContext(ctx, statement, ms, account); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("move what waits in account %s with the clock: %w", account, err)
	}
	return nil
}
