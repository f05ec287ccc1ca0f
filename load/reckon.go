package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
)

// reckon compares what was accepted with the ledger of a daemon that has ended, and with what the receiver was told: nothing
// is lost, nothing was kept or told twice. What must be sent by now is looked for on the contacts' phones as well.
func (w *world) reckon(ctx context.Context, all bool) error {
	kept, err := w.ledger(ctx)
	if err != nil {
		return err
	}
	texts := map[string]int{}
	for _, text := range kept {
		if texts[text]++; texts[text] > 1 {
			return fmt.Errorf("%q was accepted once and is in the ledger twice", text)
		}
	}
	for id, text := range w.accepted {
		if kept[id] != text {
			return fmt.Errorf("task %s was accepted and is not in the ledger", id)
		}
		told, known := w.hook.about(id)
		if all && !known {
			return fmt.Errorf("task %s was accepted and not told of", id)
		}
		if known && told.result != "True" {
			return fmt.Errorf("task %s was told as %q", id, told.result)
		}
	}
	w.hook.mu.Lock()
	twice := w.hook.twice
	w.hook.mu.Unlock()
	if twice > 0 {
		return fmt.Errorf("%d tasks were told under two IDs", twice)
	}
	return w.arrived(ctx)
}

// ledger reads the texts of all tasks, by ID.
func (w *world) ledger(ctx context.Context) (map[string]string, error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.settings["WHATSAPPD_DATA_DIR"], "ledger.db")+"?mode=ro")
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, `SELECT id, text FROM task`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	all := map[string]string{}
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return nil, err
		}
		all[id] = text
	}
	return all, rows.Err()
}

// arrived looks at the contacts' phones: what was told as sent is there, and nothing twice.
func (w *world) arrived(ctx context.Context) error {
	shown := map[string]int{}
	for i := range contacts {
		entries, err := w.sim.Inbox(ctx, contact(i))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if shown[e.Text]++; shown[e.Text] > 1 {
				return fmt.Errorf("%s was shown %q twice", contact(i), e.Text)
			}
		}
	}
	for id, text := range w.accepted {
		if _, told := w.hook.about(id); told && shown[text] == 0 {
			return fmt.Errorf("task %s was told as sent and its message is on nobody's phone", id)
		}
	}
	return nil
}
