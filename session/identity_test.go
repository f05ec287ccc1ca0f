package session_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"whatsappd/session"
	"whatsappd/simulator"
)

// known puts an account into the directory that clients know by the given addresses.
func (w *world) known(number, identities string) {
	w.t.Helper()
	require.NoError(w.t, w.sim.AddAccount(simulator.AccountSpec{Number: number, Name: "Dora", Identities: identities}))
}

func TestANumberWithoutALIDIsAskedForItOnce(t *testing.T) {
	t.Parallel()
	const dora = "4915100000077"
	w := newWorld(t)
	w.known(dora, "number")
	w.pair()
	asks := func() int { return w.sim.Counters().UsyncQueries }

	before := asks()
	sent, err := w.send(dora, "hello")
	requireCode(t, err, session.CodeUnresolvable, session.RetryNever)
	require.Equal(t, session.Sent{ID: sent.ID, To: dora}, sent)
	require.Equal(t, before+2, asks(), "the check, and once for the LID alone")
	_, err = w.send(dora, "hello")
	requireCode(t, err, session.CodeUnresolvable, session.RetryNever)
	require.Equal(t, before+3, asks(), "the kept answer is not believed")
	require.Empty(t, w.sim.Inbox(dora))

	w.known(dora, "")
	before = asks()
	sent, err = w.send(dora, "hello")
	require.NoError(t, err)
	require.NotEmpty(t, sent.LID)
	require.Equal(t, before+2, asks(), "for the LID, and for the devices")
	require.Len(t, w.read(dora, 1), 1)
	sent, err = w.send(dora, "hello")
	require.NoError(t, err)
	require.True(t, sent.FromCache, "the LID was kept with the answer")
	require.Equal(t, before+2, asks())
	w.isCalm()
}

func TestTheQuestionForALIDKeepsTheAllowance(t *testing.T) {
	t.Parallel()
	const dora = "4915100000077"
	w := newWorld(t)
	w.opts.CheckLimits = session.CheckLimits{PerHour: 1}
	w.known(dora, "number")
	w.pair()
	_, err := w.send(dora, "hello")
	requireCode(t, err, session.CodeCheckAllowance, session.RetryPace)
}

func TestAFailedQuestionForALIDIsNoAnswer(t *testing.T) {
	t.Parallel()
	const dora = "4915100000077"
	w := newWorld(t)
	w.known(dora, "number")
	w.pair()
	_, err := w.account.Check(t.Context(), []session.Number{dora})
	require.NoError(t, err)
	_, err = w.sim.AddFaults(simulator.Fault{At: "iq:usync", Do: "error", Code: 500, Times: 1})
	require.NoError(t, err)
	_, err = w.send(dora, "hello")
	requireCode(t, err, session.CodeNetworkUncertain, session.RetryLater)
}

func TestAMessageToALID(t *testing.T) {
	t.Parallel()
	const dora = "4915100000077"
	w := newWorld(t)
	w.known(dora, "lid")
	w.pair()
	_, err := w.sim.Write(t.Context(), dora, ana, "who are you?")
	require.NoError(t, err)
	w.wait("a text without a number", func() bool { return len(told[session.MessageReceived](w)) == 1 })
	heard := told[session.MessageReceived](w)[0]
	require.Empty(t, heard.From)
	require.Empty(t, heard.ReplyTo)
	require.Regexp(t, `^\d{15}@lid$`, heard.LID)

	checks := w.sim.Counters().UsyncUsers
	sent, err := w.account.Send(t.Context(), session.Message{ID: w.account.NewMessageID(), LID: heard.LID, Text: "Ana"})
	require.NoError(t, err)
	require.Equal(t, heard.LID, sent.LID)
	require.Empty(t, sent.To)
	require.True(t, sent.Checked.IsZero(), "nothing to look up")
	require.Len(t, w.read(dora, 1), 1)
	require.LessOrEqual(t, w.sim.Counters().UsyncUsers-checks, 2, "the devices of both sides")

	for _, lid := range []string{"", "nobody", dora + "@s.whatsapp.net"} {
		_, err := w.account.Send(t.Context(), session.Message{ID: w.account.NewMessageID(), LID: lid, Text: "lost"})
		requireCode(t, err, session.CodeUnresolvable, session.RetryNever)
	}
	w.isCalm()
}

func TestAReplyNamesTheMessageItAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pair()
	sent, err := w.send(bea, "are you there?")
	require.NoError(t, err)
	w.read(bea, 1)
	_, err = w.sim.Send(t.Context(), bea, simulator.Message{To: ana, Text: "yes", ReplyTo: string(sent.ID)})
	require.NoError(t, err)
	w.wait("the reply", func() bool { return len(w.heard(bea)) == 1 })
	reply := told[session.MessageReceived](w)[0]
	require.Equal(t, sent.ID, reply.ReplyTo)
	require.Equal(t, sent.LID, reply.LID)
	require.Equal(t, session.Number(bea), reply.From)
}
