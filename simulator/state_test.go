package simulator

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	waBinary "go.mau.fi/whatsmeow/binary"
)

func TestStateIsReadBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "simulator.json")
	s, err := New(Options{StateFile: path})
	require.NoError(t, err)
	require.NoError(t, s.AddAccount(AccountSpec{Number: "5511900000001", Name: "Ana", About: "here"}))
	require.NoError(t, s.AddAccount(AccountSpec{Number: "5511900000002", Unregistered: true}))
	s.mu.Lock()
	a := s.directory.byNumber["5511900000001"]
	a.key()
	a.nextDevice, a.keyIndex = 3, 2
	linked := &device{
		account: a, id: 2, keyIndex: 2, noiseKey: [32]byte{1}, identityKey: [32]byte{2}, identitySigned: []byte{3},
		linkedAt: time.Unix(1_700_000_000, 0).UTC(),
		prekeys: prekeys{
			registrationID: 4, signed: preKey{id: 5, public: [32]byte{6}}, signature: [64]byte{7},
			oneTime: []preKey{{id: 8, public: [32]byte{9}}, {id: 10, public: [32]byte{11}}},
		},
	}
	linked.waiting = []*waiting{{key: "message 1", node: waBinary.Node{Tag: "message", Attrs: waBinary.Attrs{"from": a.lidJID(), "id": "1"}}}}
	a.devices[2] = linked
	s.mu.Unlock()
	before, err := s.snapshot()
	require.NoError(t, err)
	require.NoError(t, s.Close())

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	restored, err := New(Options{StateFile: path})
	require.NoError(t, err)
	after, err := restored.snapshot()
	require.NoError(t, err)
	require.Equal(t, before.Root, after.Root)
	require.Equal(t, before.Accounts[1], after.Accounts[1])
	require.Equal(t, before.Accounts[0].Devices[0].Linked, after.Accounts[0].Devices[0].Linked)
	got := restored.directory.byLID[a.lid].devices[2].waiting[0]
	require.Equal(t, a.lidJID(), got.node.Attrs["from"])
	require.Equal(t, "message 1", got.key)
	require.NoError(t, restored.Close())
}

func TestDamagedStateFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no json":           "{",
		"no version":        "{}",
		"other version":     `{"version":99}`,
		"short root key":    `{"version":1,"root":"AAAA"}`,
		"account number":    `{"version":1,"accounts":[{"number":"+1"}]}`,
		"linked key":        `{"version":1,"accounts":[{"number":"5511900000001","devices":[{"id":1,"linked":{}}]}]}`,
		"waiting stanza":    `{"version":1,"accounts":[{"number":"5511900000001","devices":[{"id":1,"waiting":[{"node":"AA=="}]}]}]}`,
		"short account key": `{"version":1,"accounts":[{"number":"5511900000001","identity":"AAAA"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "simulator.json")
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := New(Options{StateFile: path})
			require.Error(t, err)
		})
	}
}

func TestChangesAreSavedWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "simulator.json")
	s := Start(t, Options{StateFile: path})
	require.Eventually(t, func() bool {
		saved, err := readState(path)
		return err == nil && saved.Version == stateVersion
	}, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, s.AddAccount(AccountSpec{Number: "5511900000001"}))
	require.Eventually(t, func() bool {
		saved, err := readState(path)
		return err == nil && len(saved.Accounts) == 1
	}, 20*time.Second, 5*time.Millisecond)
}

func TestNumbersKeepTheirLIDs(t *testing.T) {
	t.Parallel()
	one, two := newDirectory(), newDirectory()
	for _, number := range []string{"5511900000001", "5511900000002"} {
		require.Equal(t, one.add(number).lid, two.add(number).lid)
		require.Len(t, one.byNumber[number].lid, 15)
	}
	require.Len(t, one.byLID, 2)
	for _, number := range []string{"", "1234", "0123456789", "1234567890123456", "+551190000", "55a1190000"} {
		require.Error(t, checkNumber(number), number)
	}
}
