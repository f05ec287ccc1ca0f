package store

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/task"
)

// kindsOf tells the kinds of the values in the first row of a query, as FuzzStoredRow numbers them.
func kindsOf(f *testing.F, q queries, query string) (kinds []byte) {
	f.Helper()
	rows, err := q.QueryContext(f.Context(), query)
	require.NoError(f, err)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(f, err)
	require.True(f, rows.Next())
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	require.NoError(f, rows.Scan(into...))
	require.NoError(f, rows.Err())
	for _, value := range values {
		kind := byte(0)
		switch value.(type) {
		case int64, bool:
			kind = 1
		case string:
			kind = 3
		case []byte:
			kind = 4
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// FuzzStoredRow reads rows in which each column has any value of any kind, as a file that was damaged or changed by hand may have
// them. An error is fine, a panic is not.
func FuzzStoredRow(f *testing.F) {
	dir := f.TempDir()
	db := openDB(f, dir)
	now := time.UnixMilli(1_700_000_000_000)
	accepted, err := db.Accept(f.Context(), task.New{Account: account, Kind: task.Message, Number: "15550100101", Text: "hello", ReturnURL: "http://host/cb"}, now)
	require.NoError(f, err)
	done := task.Task{ID: accepted.ID, State: task.Done, Verdict: task.Yes, Finished: now}
	require.NoError(f, db.Finish(f.Context(), []task.Finished{{Task: done, Callback: &task.Callback{URL: "http://host/cb", Body: []byte(`{}`)}}}))
	tasks, deliveries := kindsOf(f, db.reads, `SELECT `+taskColumns+` FROM task`), kindsOf(f, db.reads, `SELECT `+deliveryColumns+` FROM callback`)
	longest := slices.Repeat([]byte{3}, len(tasks))
	for _, kinds := range [][]byte{tasks, deliveries, longest, {0}, {1}, {2}, {4}, {1, 3}} {
		f.Add(kinds, int64(0), 0.0, "", []byte{})
		f.Add(kinds, int64(1), 1.0, `["code"]`, []byte("{}"))
		f.Add(kinds, int64(-1), 1e300, "queued", []byte("running"))
		f.Add(kinds, int64(253402300799000), -1.5, `["x"]`, []byte{0, 0xff})
		f.Add(kinds, int64(-1<<63), 0.5, "\xff\x00http://[::1%25]:99999/", []byte("[9223372036854775808]"))
	}
	f.Fuzz(func(t *testing.T, kinds []byte, number int64, fraction float64, text string, blob []byte) {
		if len(kinds) == 0 {
			return
		}
		row := func(columns int) (query string, values []any) {
			for i := range columns {
				values = append(values, []any{nil, number, fraction, text, blob}[kinds[i%len(kinds)]%5])
			}
			return `SELECT ` + strings.TrimSuffix(strings.Repeat("?, ", columns), ", "), values
		}
		query, values := row(len(tasks))
		if got, err := scanTask(db.reads.QueryRowContext(t.Context(), query, values...)); err == nil {
			_ = got.Kind.Class()
			_ = got.Delivery.String()
			if report := callback.Report(got); report != nil {
				_ = callback.Destination(report.URL)
			}
		}
		query, values = row(len(deliveries))
		if got, err := queryDeliveries(t.Context(), db.reads, query, values...); err == nil {
			_ = callback.Destination(got[0].URL)
		}
		var times []time.Time
		var codes []string
		query, values = row(2)
		_ = db.reads.QueryRowContext(t.Context(), query, values...).Scan(moments{&times}, codesInto{&codes})
	})
}
