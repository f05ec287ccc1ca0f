package store

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"whatsappd/callback"
	"whatsappd/session"
	"whatsappd/task"
)

// The contract of the keepers, as functions over their interfaces: another implementation runs the same ones.

// keepers is one fresh, empty ledger.
type keepers struct {
	tasks     task.Keeper
	callbacks callback.Keeper
	accounts  session.Keeper
	people    people
}

// people is what is known of people, and the list of those who want no messages.
type people interface {
	OptOut(ctx context.Context, account string, addresses []string, at time.Time) error
	OptIn(ctx context.Context, account, address string) error
	Contact(ctx context.Context, account, address string) (task.Contact, error)
}

// opener opens an empty ledger for one test.
type opener func(t *testing.T) keepers

func TestContract(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T) keepers {
		db := openAnnouncing(t, t.TempDir())
		return keepers{db, db, db, db}
	}
	for name, test := range map[string]func(*testing.T, opener){
		"accept": testAccept, "idempotency": testIdempotency,
		"claim": testClaim, "strangers": testStrangers, "claim in order": testClaimOrder, "finish and claim": testFinishAndClaim, "next due": testNextDue,
		"finish": testFinish, "finish contacts": testFinishContacts,
		"confirm": testConfirm, "overdue": testOverdue, "timeline": testTimeline,
		"requeue and recover": testRequeue, "read": testRead, "sweep": testSweep,
		"deliver": testDeliver, "record": testRecord, "replay": testReplay, "list callbacks": testListCallbacks,
		"events": testEvents, "account": testAccount, "numbers": testNumbers, "identity": testIdentity,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// openDB opens a data directory and closes it with the test.
func openDB(t testing.TB, dir string) *DB {
	t.Helper()
	db, err := Open(t.Context(), dir, Options{Logger: testLogger(t)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// openAnnouncing is openDB with a receiver of events. They have the time of a scene.
func openAnnouncing(t testing.TB, dir string) *DB {
	t.Helper()
	announce := callback.Announce("http://operator/hook", func() time.Time { return time.UnixMilli(1_700_000_000_000) })
	db, err := Open(t.Context(), dir, Options{Logger: testLogger(t), Announce: announce})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// scene is a ledger and a clock that stands still.
type scene struct {
	keepers
	t   *testing.T
	now time.Time
}

func newScene(t *testing.T, open opener) *scene {
	t.Helper()
	return &scene{keepers: open(t), t: t, now: time.UnixMilli(1_700_000_000_000).UTC()}
}

const account = string(session.DefaultAccount)

// later returns a time after the scene's now.
func (s *scene) later(d time.Duration) time.Time { return s.now.Add(d) }

func (s *scene) accept(w task.New) task.ID {
	s.t.Helper()
	if w.Account == "" {
		w.Account = account
	}
	accepted, err := s.tasks.Accept(s.t.Context(), w, s.now)
	require.NoError(s.t, err)
	require.False(s.t, accepted.Duplicate)
	return accepted.ID
}

// message accepts a message to a number.
func (s *scene) message(number string) task.ID {
	s.t.Helper()
	return s.accept(task.New{Kind: task.Message, Number: number, Text: "hello", MessageID: "3EB0" + number, ReturnURL: "http://host:9000/cb"})
}

// claim takes due tasks of a class now.
func (s *scene) claim(class task.Class, limit int) []task.Task {
	s.t.Helper()
	return s.claimAt(s.now, class, limit)
}

func (s *scene) claimAt(now time.Time, class task.Class, limit int) []task.Task {
	s.t.Helper()
	tasks, err := s.tasks.Claim(s.t.Context(), account, class, now, limit)
	require.NoError(s.t, err)
	return tasks
}

// claimOne takes the one message that is due.
func (s *scene) claimOne() task.Task {
	s.t.Helper()
	tasks := s.claim(task.ClassMessage, 1)
	require.Len(s.t, tasks, 1)
	return tasks[0]
}

// end returns the end of a task with a verdict and, when it has a return URL, a callback.
func (s *scene) end(t task.Task, verdict task.Verdict) task.Finished {
	t.State, t.Verdict, t.Finished = task.Done, verdict, s.now
	if verdict == task.Failure {
		t.State, t.Code, t.Detail = task.Failed, "rejected_403", "WhatsApp refused"
		t.WACode, t.RetryAt = 403, s.later(time.Hour)
	}
	end := task.Finished{Task: t}
	if t.ReturnURL != "" {
		end.Callback = &task.Callback{URL: t.ReturnURL, Body: []byte(`{"task_id":"` + t.ID + `"}`)}
	}
	return end
}

func (s *scene) finish(t task.Task, verdict task.Verdict) {
	s.t.Helper()
	require.NoError(s.t, s.tasks.Finish(s.t.Context(), []task.Finished{s.end(t, verdict)}))
}

func (s *scene) get(id task.ID) task.Task {
	s.t.Helper()
	t, err := s.tasks.Get(s.t.Context(), id)
	require.NoError(s.t, err)
	return t
}

func (s *scene) deliveries() []callback.Delivery {
	s.t.Helper()
	deliveries, err := s.callbacks.Deliveries(s.t.Context(), "", "", 1000)
	require.NoError(s.t, err)
	return deliveries
}

// delivery makes one due delivery to a URL, by ending a check.
func (s *scene) delivery(url string) callback.Delivery {
	s.t.Helper()
	id := s.accept(task.New{Kind: task.Check, Number: "15550100101", ReturnURL: url})
	s.finish(s.get(id), task.Yes)
	newest := s.deliveries()[0]
	require.Equal(s.t, id, newest.TaskID)
	return newest
}

func ids(tasks []task.Task) []task.ID {
	var ids []task.ID
	for _, t := range tasks {
		ids = append(ids, t.ID)
	}
	return ids
}
