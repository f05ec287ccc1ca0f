package store

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

// TestHotStatementsUseTheirIndexes keeps an innocent edit from turning a search into a scan.
func TestHotStatementsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	for name, c := range map[string]struct {
		query string
		args  int
		want  []string
	}{
		"claim checks":    {claimTasks(task.ClassCheck), 3, []string{"task_due (account=? AND class=? AND wake=?)"}},
		"claim messages":  {claimTasks(task.ClassMessage), 3, []string{"task_due (account=? AND class=? AND wake=?)", "task_running"}},
		"claim warm":      {claimTasks(task.ClassWarm), 3, []string{"task_warm (account=? AND class=? AND wake=?)", "task_running"}},
		"next warm":       {nextWake(task.ClassWarm), 3, []string{"USING INDEX task_warm (account=? AND class=? AND wake>?)", "task_running"}},
		"wake tasks":      {wakeTasks, 4, []string{"USING COVERING INDEX task_due (account=? AND class=? AND wake>? AND wake<?)"}},
		"waiting":         {waiting, 3, []string{"task_lane"}},
		"impatient":       {impatient, 3, []string{"task_impatient (account=? AND class=?)"}},
		"release":         {releaseTasks, 3, []string{"task_lane"}},
		"let one go on":   {releaseChat, 3, []string{"task_chat (contact=?)"}},
		"contact":         {oneContact, 2, []string{"SEARCH contact_number USING PRIMARY KEY (account=? AND number=?)", "SEARCH contact USING INDEX sqlite_autoindex_contact_3 (account=? AND lid=?)", "SEARCH h USING PRIMARY KEY (contact=?)", "SEARCH o USING PRIMARY KEY (contact=?)"}},
		"find a contact":  {findContact, 2, []string{"SEARCH contact_number USING PRIMARY KEY (account=? AND number=?)", "(account=? AND lid=?)"}},
		"same text":       {textRecipients, 4, []string{"PRIMARY KEY (account=? AND hash=?)"}},
		"forget texts":    {forgetTexts, 2, []string{"text_sent_at"}},
		"new chats":       {newChats, 2, []string{"chat_sent"}},
		"replies":         {replies, 2, []string{"chat_heard"}},
		"failures":        {failures, 2, []string{"task_finished"}},
		"claim control":   {claimTasks(task.ClassControl), 3, []string{"task_due (account=? AND class=? AND wake=?)", "task_running"}},
		"next message":    {nextWake(task.ClassMessage), 3, []string{"USING COVERING INDEX task_due (account=? AND class=? AND wake>?)", "task_running"}},
		"claim callbacks": {dueCallbacks, 3, []string{"callback_due"}},
		"next callback":   {nextCallback, 1, []string{"callback_due"}},
		"delete":          {deleteTasks, 2, []string{"task_finished"}},
		"delete events":   {deleteEvents, 2, []string{"callback_event (finished>? AND finished<?)"}},
		"blank":           {blankTexts, 2, []string{"task_text"}},
		"finish":          {finishTask, 15, []string{"sqlite_autoindex_task_1"}},
		"confirm":         {confirmTasks, 6, []string{"task_receipt"}},
		"unproven":        {unproven, 2, []string{"task_receipt"}},
		"overdue":         {overdueTasks, 4, []string{"task_unconfirmed"}},
		"check times":     {checkTimes, 2, []string{"contact_number_at"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := planOf(t, db, c.query, c.args)
			for _, index := range c.want {
				require.Contains(t, plan, index)
			}
			require.NotContains(t, plan, "SCAN task")
			require.NotContains(t, plan, "SCAN contact")
			require.NotContains(t, plan, "SCAN callback")
			require.NotContains(t, plan, "TEMP B-TREE")
		})
	}
}

func TestAMergeSearchesForWhatItMoves(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	for _, statement := range mergeContacts() {
		require.NotContains(t, planOf(t, db, statement, 2), "SCAN", statement)
	}
}

func TestTriggersSearchForWhatTheyChange(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	rows, err := db.reads.QueryContext(t.Context(), `SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`)
	require.NoError(t, err)
	defer rows.Close()
	row := regexp.MustCompile(`\b(new|old)\.\w+`)
	seen := 0
	for rows.Next() {
		var name, text string
		require.NoError(t, rows.Scan(&name, &text))
		_, body, _ := strings.Cut(strings.TrimSuffix(text, "END"), "BEGIN")
		for statement := range strings.SplitSeq(body, ";") {
			if statement = row.ReplaceAllString(strings.TrimSpace(statement), "?1"); statement != "" {
				plan := planOf(t, db, statement, 1)
				require.NotContains(t, plan, "SCAN", "%s: %s", name, statement)
				require.NotContains(t, plan, "task_contact", "%s: it holds finished tasks too: %s", name, statement)
				seen++
			}
		}
	}
	require.NoError(t, rows.Err())
	require.Greater(t, seen, 8)
}

func planOf(t *testing.T, db *DB, query string, args int) string {
	t.Helper()
	var plan strings.Builder
	require.NoError(t, db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
		rows, err := q.QueryContext(ctx, `EXPLAIN QUERY PLAN `+query, make([]any, args)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			plan.WriteString(detail + "\n")
		}
		return rows.Err()
	}))
	return plan.String()
}
