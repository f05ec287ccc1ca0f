package store

import (
	"context"
	"database/sql"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"

	"whatsappd/task"
)

// setAside stands in place of a task's checksum when its row broke the ledger's rules: it ends as damaged.
const setAside = -1

// farOff is a time no task waits for, in unix milliseconds: the year 2200.
const farOff = 7_258_118_400_000

// longestText is more bytes than any accepted message has.
const longestText = 4 << 16

// checksum is kept with a task when it is accepted, over all that decides who gets what: a disk may change a row in a way no
// database notices. It is never 0.
func checksum(id task.ID, account string, kind task.Kind, number, text, messageID, returnURL, forNumber string) int64 {
	fields := strings.Join([]string{string(id), account, string(kind), number, text, messageID, returnURL, forNumber}, "\x00")
	return 1 + int64(crc32.Checksum([]byte(fields), crc32.MakeTable(crc32.Castagnoli)))
}

// flaw says what is wrong with the row of an unfinished task, as a sentence; empty for nothing. Rows of before there were
// checksums have 0.
func flaw(t task.Task, kept int64) string {
	switch {
	case t.State != task.Queued && t.State != task.Running:
		return ""
	case kept == setAside:
		return "its record in the ledger broke the ledger's rules"
	case kept != 0 && kept != checksum(t.ID, t.Account, t.Kind, t.Number, t.Text, t.MessageID, t.ReturnURL, t.ForNumber):
		return "its record in the ledger is not as it was accepted"
	case t.Attempt < 0:
		return "its record in the ledger has a negative count of attempts"
	case len(t.Text) > longestText:
		return "its record in the ledger has a longer text than any that is accepted"
	}
	for _, at := range []time.Time{t.Created, t.Started, t.NotBefore} {
		if ms := millis(at); ms < 0 || ms > farOff {
			return "its record in the ledger has a time that cannot be"
		}
	}
	return ""
}

// What no queue would ever take: states and kinds nobody knows, and waits without end. They are made due, to end as damaged.
const (
	strayTasks = `UPDATE task SET state = 'queued', finished = 0, not_before = 0, checksum = -1,
		kind = CASE WHEN kind IN ('check', 'message', 'login', 'logout') THEN kind ELSE 'check' END,
		class = CASE kind WHEN 'message' THEN 'message' WHEN 'login' THEN 'control' WHEN 'logout' THEN 'control' ELSE 'check' END
		WHERE seq IN (SELECT seq FROM task WHERE state < 'done' OR state > 'done' AND state < 'failed'
				OR state > 'failed' AND state < 'queued' OR state > 'queued' AND state < 'running' OR state > 'running'
			UNION ALL SELECT seq FROM task INDEXED BY task_lane WHERE state = 'queued' AND (not_before > ?1 OR not_before < 0
				OR (account, class) NOT IN (SELECT a.id, c.value FROM account AS a, json_each('["check", "message", "control"]') AS c)))`
	strayCallbacks = `UPDATE callback SET state = 'dead', finished = ?2, last_error = 'its record in the ledger broke the ledger''s rules'
		WHERE id IN (SELECT id FROM callback WHERE state < 'dead' OR state > 'dead' AND state < 'delivered'
				OR state > 'delivered' AND state < 'due' OR state > 'due' AND state < 'sending' OR state > 'sending'
			UNION ALL SELECT id FROM callback WHERE state IN ('due', 'sending') AND (attempt < 0 OR next_at > ?1 OR next_at < 0))`
)

// endStrays sees to it that the rows nobody would ever take come to an end like all others.
func endStrays(ctx context.Context, q queries, now time.Time) (int64, error) {
	var count int64
	for _, statement := range []string{strayTasks, strayCallbacks} {
		result, err := q.ExecContext(ctx, statement, farOff, millis(now))
		if err != nil {
			return 0, fmt.Errorf("set rows aside that nobody would take: %w", explain(err))
		}
		changed, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		count += changed
	}
	if _, err := q.ExecContext(ctx, lineUp, millis(now)); err != nil {
		return 0, fmt.Errorf("see who is first in line: %w", explain(err))
	}
	return count, nil
}

// lineUp says anew of each unfinished task when it may be taken, where that is not what its row says: a task that is not first
// in line and has nobody before it would wait for ever.
const lineUp = `UPDATE task SET wake = line.wake, warm = line.warm FROM (SELECT seq, class = 'message' AND NOT ` + cold + ` AS warm,
		CASE WHEN class = 'message' AND EXISTS (SELECT 1 FROM task AS e INDEXED BY task_chat WHERE e.contact = task.contact
			AND e.seq < task.seq AND e.class = 'message' AND e.state IN ('queued', 'running')) THEN NULL
		WHEN not_before <= ?1 THEN 0 ELSE not_before END AS wake
		FROM task WHERE state IN ('queued', 'running')) AS line
	WHERE task.seq = line.seq AND (task.wake IS NOT line.wake OR task.wake IS NOT NULL AND task.warm <> line.warm)`

// mendRows gives the cells that break the schema's rules the column's default, so that the rest of the ledger can be used. A
// task that lost something this way is set aside, a callback is dead, and what can be learnt anew is dropped. When that does
// not make the ledger whole, nothing is changed and it is refused.
func mendRows(ctx context.Context, conn *sql.Conn, now time.Time) error {
	// While it is mended a row may break one more rule.
	if _, err := conn.ExecContext(ctx, `PRAGMA ignore_check_constraints = ON`); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA ignore_check_constraints = OFF`) }()
	return transact(ctx, conn, func() error {
		statements, err := mendStatements(ctx, conn)
		if err != nil {
			return err
		}
		for _, statement := range statements {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%w: its broken rows cannot be set aside: %w", ErrDamaged, err)
			}
		}
		if _, err := endStrays(ctx, conn, now); err != nil {
			return err
		}
		unfit, err := readWhole(ctx, conn, `PRAGMA main.quick_check(1)`)
		if err == nil && unfit {
			err = fmt.Errorf("%w: it has rows that break its own rules", ErrDamaged)
		}
		return err
	})
}

// cells describes each column: how SQLite names the types its values may have, and what stands in place of another one.
const cells = `SELECT t.name, c.name, quote(lower(c.type)) || iif(c."notnull" OR c.pk, '', ', ''null'''),
	coalesce(c.dflt_value, CASE c.type WHEN 'INTEGER' THEN '0' WHEN 'BLOB' THEN 'zeroblob(0)' ELSE '''''' END)
	FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
	WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid`

// mendStatements returns what mends each table.
func mendStatements(ctx context.Context, q queries) ([]string, error) {
	rows, err := q.QueryContext(ctx, cells)
	if err != nil {
		return nil, fmt.Errorf("read the schema: %w", explain(err))
	}
	defer rows.Close()
	broken, mended := map[string][]string{}, map[string][]string{}
	for rows.Next() {
		var table, column, types, fallback string
		if err := rows.Scan(&table, &column, &types, &fallback); err != nil {
			return nil, fmt.Errorf("read the schema: %w", explain(err))
		}
		broken[table] = append(broken[table], fmt.Sprintf("typeof(%s) NOT IN (%s)", column, types))
		value := fmt.Sprintf("CASE WHEN typeof(%s) IN (%s) THEN %s ELSE %s END", column, types, column, fallback)
		switch table + "." + column {
		case "task.checksum":
			value = "-1"
		case "callback.state":
			value = "'dead'"
		case "callback.last_error":
			value = "'its record in the ledger broke the ledger''s rules'"
		}
		mended[table] = append(mended[table], column+" = "+value)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the schema: %w", explain(err))
	}
	statements := []string{
		`UPDATE task SET delivered_by = '' WHERE delivered_by NOT IN ('', 'companion', 'phone')`,
		`UPDATE task SET finished = CASE WHEN state IN ('done', 'failed') THEN max(created, 1) ELSE 0 END
			WHERE (finished > 0) <> (state IN ('done', 'failed'))`,
	}
	for _, table := range slices.Sorted(maps.Keys(broken)) {
		where := " WHERE " + strings.Join(broken[table], " OR ")
		switch table {
		case "account", "task", "callback":
			statements = append(statements, "UPDATE "+table+" SET "+strings.Join(mended[table], ", ")+where)
		default:
			statements = append(statements, "DELETE FROM "+table+where)
		}
	}
	slices.Reverse(statements) // what follows from a mended row comes after it
	return statements, nil
}
