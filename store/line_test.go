package store

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/task"
)

var lineSeed = flag.Uint64("line-seed", 0, "repeat a run of the test of who is first in line")

// plainly selects who is due of a class by looking at every task there is: slow, and easy to believe.
func plainly(class task.Class) string {
	query := ` FROM task WHERE account = ?1 AND class = ?2 AND state = 'queued'`
	if class != task.ClassCheck {
		query += ` AND NOT EXISTS (SELECT 1 FROM task AS r WHERE r.account = ?1 AND r.class = ?2 AND r.state = 'running')`
	}
	if class == task.ClassMessage || class == task.ClassWarm {
		query += ` AND NOT EXISTS (SELECT 1 FROM task AS e WHERE e.contact = task.contact AND e.seq < task.seq
			AND e.class = 'message' AND e.state IN ('queued', 'running'))`
	}
	if class == task.ClassWarm {
		query += ` AND NOT ` + cold
	}
	return query
}

// line is a ledger with a few people and much that happens to them, at random.
type line struct {
	*scene
	db      *DB
	random  *rand.Rand
	running []task.Task
}

func (l *line) pick(from ...string) string { return from[l.random.IntN(len(from))] }

func (l *line) number() string {
	return l.pick("15550100101", "15550100102", "15550100103", "15550100104")
}

func (l *line) lid() string { return l.pick("101@lid", "102@lid", "103@lid") }

// soon is a time around now, or none.
func (l *line) soon() time.Time {
	if l.random.IntN(3) == 0 {
		return time.Time{}
	}
	return l.later(time.Duration(l.random.IntN(60)-10) * time.Second)
}

// happen makes one thing happen and says what.
func (l *line) happen() (what string, err error) {
	ctx := l.t.Context()
	switch l.random.IntN(10) {
	case 0, 1, 2:
		kind := []task.Kind{task.Message, task.Message, task.Message, task.Check, task.Logout}[l.random.IntN(5)]
		w := task.New{Account: account, Kind: kind, Text: "hello"}
		if kind != task.Logout {
			w.Number = l.number()
		}
		_, err = l.tasks.Accept(ctx, w, l.now)
		return "accept " + string(kind), err
	case 3:
		l.now = l.later(time.Duration(l.random.IntN(20)) * time.Second)
		return "time goes on", nil
	case 4:
		return "back", l.back()
	case 5:
		return "end", l.end()
	case 6:
		return "heard", l.tasks.Heard(ctx, account, task.Address{Number: l.pick("", l.number()), LID: l.lid()}, l.now, l.now)
	case 7:
		return "release", l.tasks.Release(ctx, account, l.pick(task.ReasonLocked, task.ReasonQuota), l.now)
	case 8:
		by := time.Duration(l.random.IntN(5)) * time.Second
		l.now = l.now.Add(-by)
		return "clock set back", l.tasks.SetBack(ctx, account, by)
	default:
		l.running = nil
		_, err = l.tasks.Recover(ctx)
		if err == nil {
			_, err = endStrays(ctx, l.db.writer.conn, l.now)
		}
		return "start", err
	}
}

// back puts one running task back.
func (l *line) back() error {
	if len(l.running) == 0 {
		return nil
	}
	i := l.random.IntN(len(l.running))
	t := l.running[i]
	l.running = append(l.running[:i:i], l.running[i+1:]...)
	t.NotBefore, t.Reason = l.soon(), l.pick("", task.ReasonLocked, task.ReasonSettling)
	return l.tasks.Requeue(l.t.Context(), []task.Task{t})
}

// end ends one task, running or queued.
func (l *line) end() error {
	all := append([]task.Task(nil), l.running...)
	for _, class := range []task.Class{task.ClassMessage, task.ClassControl} {
		waiting, err := l.tasks.Waiting(l.t.Context(), account, class, 100)
		if err != nil {
			return err
		}
		all = append(all, waiting...)
	}
	if len(all) == 0 {
		return nil
	}
	t := all[l.random.IntN(len(all))]
	for i := range l.running {
		if l.running[i].ID == t.ID {
			l.running = append(l.running[:i:i], l.running[i+1:]...)
			break
		}
	}
	end := l.scene.end(t, []task.Verdict{task.Yes, task.Failure}[l.random.IntN(2)])
	end.Task.Canonical, end.Task.LID = l.pick("", t.Number), l.pick("", l.lid())
	return l.tasks.Finish(l.t.Context(), []task.Finished{end})
}

// wants is what the plain look says of a class.
func (l *line) wants(class task.Class) (id task.ID, next time.Time) {
	l.t.Helper()
	var at sql.NullInt64
	ctx := l.t.Context()
	require.NoError(l.t, l.db.reads.QueryRowContext(ctx, `SELECT min(not_before)`+plainly(class), account, kept(class)).Scan(&at))
	if at.Valid {
		next = fromMillis(max(at.Int64, millis(l.now)))
	}
	err := l.db.reads.QueryRowContext(ctx, `SELECT id`+plainly(class)+` AND not_before <= ?3 ORDER BY seq LIMIT 1`,
		account, kept(class), millis(l.now)).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		require.NoError(l.t, err)
	}
	return id, next
}

// TestWhoIsFirstInLine compares what is claimed, and when the next is due, with a look at all tasks, whatever happens to them.
func TestWhoIsFirstInLine(t *testing.T) {
	t.Parallel()
	seed := *lineSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("repeat with -line-seed %d", seed)
	db := openDB(t, t.TempDir())
	l := &line{
		scene: newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} }),
		db:    db, random: rand.New(rand.NewPCG(seed, 0)),
	}
	claimed := 0
	for step := range 700 {
		what, err := l.happen()
		require.NoError(t, err, "step %d: %s", step, what)
		classes := []task.Class{task.ClassMessage, task.ClassWarm, task.ClassCheck, task.ClassControl}
		for _, class := range classes {
			_, want := l.wants(class)
			next, _, err := l.tasks.NextDue(t.Context(), account, class, l.now)
			require.NoError(t, err)
			require.Equal(t, want, next, "step %d: next %s after %s", step, class, what)
		}
		class := classes[l.random.IntN(len(classes))]
		want, _ := l.wants(class)
		var got task.ID
		for _, taken := range l.claim(class, 1) {
			got = taken.ID
			l.running = append(l.running, taken)
			claimed++
		}
		require.Equal(t, want, got, "step %d: claim %s after %s", step, class, what)
	}
	require.Greater(t, claimed, 20)
}

// TestAMergePutsARunningMessageBehind joins two contacts while the message to one of them runs: put back, it is not first any more.
func TestAMergePutsARunningMessageBehind(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
	hears := func(number string) {
		require.NoError(t, db.Heard(t.Context(), account, task.Address{Number: number, LID: "101@lid"}, s.now, s.now))
	}
	first, second := s.message("15550100101"), s.message("15550100102")
	hears("15550100102")
	waits := s.claimOne()
	require.Equal(t, first, waits.ID)
	waits.NotBefore = s.later(time.Minute)
	require.NoError(t, db.Requeue(t.Context(), []task.Task{waits}))
	runs := s.claimOne()
	require.Equal(t, second, runs.ID)
	hears("15550100101")
	require.NoError(t, db.Requeue(t.Context(), []task.Task{runs}))
	require.Empty(t, s.claim(task.ClassMessage, 1))
	s.now = s.later(time.Minute)
	require.Equal(t, first, s.claimOne().ID)
}

// TestAChatMakesWarm changes a chat in ways that no method does yet.
func TestAChatMakesWarm(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
	contact := s.get(s.message("15550100101")).Contact.ID
	for _, c := range []struct {
		statement string
		warm      bool
	}{
		{`INSERT INTO chat (contact, account) VALUES (?1, 'default')`, false},
		{`UPDATE chat SET last_heard_at = 5 WHERE contact = ?1`, true},
		{`DELETE FROM chat WHERE contact = ?1`, false},
	} {
		_, err := db.change(t.Context(), c.statement, contact)
		require.NoError(t, err)
		_, some, err := db.NextDue(t.Context(), account, task.ClassWarm, s.now)
		require.NoError(t, err)
		require.Equal(t, c.warm, some, c.statement)
	}
}

func TestWhatWokeStandsInOrderOfAcceptance(t *testing.T) {
	t.Parallel()
	db := openDB(t, t.TempDir())
	s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
	const count = 2*wakeMost + 10
	fillQueue(t, db, queueShape{recipients: count, wait: "?3 - i", class: task.ClassMessage}, count, s.now)
	s.now = s.later(time.Hour)
	last := s.message("15550100199")
	for i := 1; i <= 5; i++ {
		got := s.claimOne()
		require.Equal(t, task.ID(fmt.Sprintf("01990000-0000-7000-8000-%012d", i)), got.ID)
		s.finish(got, task.Yes)
	}
	require.Equal(t, task.Queued, s.get(last).State)
}

// TestALineThatIsDamagedIsMended changes what says who is first, behind the ledger's back.
func TestALineThatIsDamagedIsMended(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"nobody is first":        `wake = NULL`,
		"all are":                `wake = 0`,
		"all wake in a far time": `wake = 7258118399999`,
		"a time that cannot be":  `wake = -7`,
		"all are friends":        `warm = 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			db := openDB(t, dir)
			s := newScene(t, func(*testing.T) keepers { return keepers{db, db, db, db} })
			first := s.message("15550100101")
			second := s.message("15550100101")
			require.NoError(t, db.writer.do(t.Context(), func(ctx context.Context, q queries) error {
				_, err := q.ExecContext(ctx, `UPDATE task SET `+change)
				return err
			}))
			require.NoError(t, db.Close())
			db = openDB(t, dir)
			s.keepers = keepers{db, db, db, db}
			require.Empty(t, s.claim(task.ClassWarm, 1))
			got := s.claimOne()
			require.Equal(t, first, got.ID)
			got.NotBefore = s.later(time.Minute)
			require.NoError(t, s.tasks.Requeue(t.Context(), []task.Task{got}))
			require.Empty(t, s.claim(task.ClassMessage, 1))
			s.finish(got, task.Failure)
			require.Equal(t, second, s.claimOne().ID)
		})
	}
}
