package simulator

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
)

func TestAClientThatDoesNotKeepUpGetsNoMoreThanItCanHold(t *testing.T) {
	t.Parallel()
	const more = 5
	s := startRaw(t)
	c := &conn{s: s, queue: newWriteQueue(), active: true}
	d := &device{account: &account{number: "5511900000002"}}
	c.device.Store(d)
	stanza := func(i int) (string, waBinary.Node) {
		return messageKey(fmt.Sprint(i)), waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": fmt.Sprint(i)}}
	}
	sent := func() (ids []string) {
		for _, waits := range c.queue.nodes {
			n, err := decodeNode(waits.data)
			require.NoError(t, err)
			ids = append(ids, n.Tag+" "+text(n, "id")+text(n, "offline"))
		}
		c.queue.nodes = nil
		return ids
	}
	s.mu.Lock()
	for i := range maxInFlight + more {
		s.post(d, "message "+fmt.Sprint(i), waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"id": fmt.Sprint(i)}})
	}
	d.conn = c
	s.deliverWaiting(c)
	s.mu.Unlock()
	got := sent()
	require.Len(t, got, 1+maxInFlight)
	require.Equal(t, []string{"ib ", "message 00", "message 11"}, got[:3])

	s.acknowledged(d, messageKey("1"))
	s.acknowledged(d, messageKey(fmt.Sprint(maxInFlight+2))) // was not sent yet
	require.Equal(t, []string{fmt.Sprintf("message %[1]d%[1]d", maxInFlight)}, sent())
	for i := range more - 1 {
		s.acknowledged(d, messageKey(fmt.Sprint(i+2)))
	}
	got = sent()
	require.Len(t, got, more-1+1)
	require.Equal(t, "ib ", got[more-1], "the end, behind the last")

	s.mu.Lock()
	key, live := stanza(99999)
	s.post(d, key, live)
	s.mu.Unlock()
	require.Empty(t, sent(), "behind those it has not acknowledged")
	s.acknowledged(d, messageKey("0"))
	require.Equal(t, []string{"message 99999"}, sent())
}

func TestWhoIsAwayForTooLongLosesTheOldest(t *testing.T) {
	t.Parallel()
	s := startRaw(t)
	d := &device{account: &account{number: "5511900000002"}}
	s.mu.Lock()
	for i := range maxWaiting + 3 {
		s.post(d, messageKey(fmt.Sprint(i)), waBinary.Node{Tag: "message"})
	}
	s.mu.Unlock()
	require.Len(t, d.waiting, maxWaiting)
	require.Equal(t, messageKey("3"), d.waiting[0].key)
	require.Equal(t, 3, s.Counters().Forgotten)
}
