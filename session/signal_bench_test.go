package session

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/keys/chain"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// BenchmarkSessionsOfASend is what a send does with the key store: load the sessions of two devices, save both. Compare the
// two: the difference is the price of not taking back what a message that came in meanwhile changed.
func BenchmarkSessionsOfASend(b *testing.B) {
	for _, guarded := range []bool{false, true} {
		name := "library"
		if guarded {
			name = "guarded"
		}
		b.Run(name, func(b *testing.B) {
			device := keptDevice(b)
			if guarded {
				(&guard{now: time.Now}).install(device)
			}
			ctx := context.Background()
			addresses := []string{"1_1:0", "2_1:0"}
			session := make([]byte, 3000)
			for b.Loop() {
				_, err := device.Sessions.GetManySessions(ctx, addresses)
				require.NoError(b, err)
				require.NoError(b, device.Sessions.PutManySessions(ctx, map[string][]byte{addresses[0]: session, addresses[1]: session}))
			}
		})
	}
}

// BenchmarkSessionOfAReceivedMessage is the same for a message that comes in, when both sides began a session at once: it
// has two states, each as large as that of an active chat.
func BenchmarkSessionOfAReceivedMessage(b *testing.B) {
	state := func(name string) *record.StateStructure {
		key := make([]byte, 32)
		chain := &record.ChainStructure{SenderRatchetKeyPublic: key, SenderRatchetKeyPrivate: key, ChainKey: &chain.KeyStructure{Key: key}}
		return &record.StateStructure{
			SenderBaseKey: []byte(name), LocalIdentityPublic: key, RemoteIdentityPublic: key, RootKey: key, SenderChain: chain,
			ReceiverChains: []*record.ChainStructure{chain, chain, chain, chain, chain},
		}
	}
	session := store.SignalProtobufSerializer.Session.Serialize(&record.SessionStructure{
		SessionState: state("one"), PreviousStates: []*record.StateStructure{state("two")},
	})
	for _, guarded := range []bool{false, true} {
		name := "library"
		if guarded {
			name = "guarded"
		}
		b.Run(name, func(b *testing.B) {
			device := keptDevice(b)
			if guarded {
				(&guard{now: time.Now}).install(device)
			}
			ctx := context.Background()
			for b.Loop() {
				require.NoError(b, device.EventBuffer.DoDecryptionTxn(ctx, func(ctx context.Context) error {
					_, err := device.Sessions.GetSession(ctx, "1_1:0")
					require.NoError(b, err)
					return device.Sessions.PutSession(ctx, "1_1:0", session)
				}))
			}
		})
	}
}

// keptDevice is a device of ours on a file, as in production.
func keptDevice(tb testing.TB) *store.Device {
	tb.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(tb.TempDir(), "whatsapp.db")+"?_foreign_keys=on&_journal_mode=WAL&_synchronous=FULL&_txlock=immediate")
	require.NoError(tb, err)
	db.SetMaxOpenConns(1)
	tb.Cleanup(func() { require.NoError(tb, db.Close()) })
	container := sqlstore.NewWithDB(db, "sqlite3", waLog.Noop)
	require.NoError(tb, container.Upgrade(context.Background()))
	device := container.NewDevice()
	id := types.NewADJID("5511900000001", 0, 1)
	device.ID, device.LID = &id, types.NewJID("1", types.HiddenUserServer)
	device.Account = &waAdv.ADVSignedDeviceIdentity{
		Details: []byte{1}, AccountSignature: make([]byte, 64), AccountSignatureKey: make([]byte, 32), DeviceSignature: make([]byte, 64),
	}
	require.NoError(tb, device.Save(context.Background()))
	return device
}
