package simulator_test

import (
	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// deviceRows is what a client sees of the devices of others, and of its own account.
var deviceRows = map[string]func(*talk){
	"contact with several devices": func(k *talk) {
		require.NoError(k.t, k.server.AddAccount(simulator.AccountSpec{
			Number: bea, Companions: 2, Behaviour: simulator.Behaviour{Receipts: "read"},
		}))
		id := k.says("hello")
		delivered := map[uint16]bool{}
		for range 3 {
			got := wait[*events.Receipt](k.t, k.client)
			if got.Type == types.ReceiptTypeRead { // the phone reads; companions may be slower to say that they have it
				got = wait[*events.Receipt](k.t, k.client)
			}
			require.Equal(k.t, types.ReceiptTypeDelivered, got.Type)
			delivered[got.Sender.Device] = true
		}
		require.Len(k.t, delivered, 3)
		for _, entry := range inbox(k.t, k.server, bea, 3) {
			require.Equal(k.t, id, entry.ID)
		}
		require.Equal(k.t, 1, k.noted(simulator.Event{What: "receipt", From: bea, To: ana, ID: id, Kind: "read"}), "the phone alone reads")
	},
	"contact adds a device": func(k *talk) {
		k.knowsDevices(bea, 1)
		k.says("to one")
		require.NoError(k.t, k.server.AddCompanion(bea))
		k.eventually(func() bool { return k.server.Waiting(ana) == 0 })
		k.eventually(func() bool { return k.devices(bea) == 2 })
		asked := k.server.Counters().UsyncQueries
		id := k.says("to both")
		k.shown(func(e simulator.Entry) bool { return e.ID == id && e.Device == 1 })
		require.Equal(k.t, asked, k.server.Counters().UsyncQueries, "the client believes the notice, which has the right hash")
	},
	"contact removes a device": func(k *talk) {
		require.NoError(k.t, k.server.AddCompanion(bea))
		k.knowsDevices(bea, 2)
		k.says("to both")
		require.NoError(k.t, k.server.RemoveCompanion(bea, 1))
		k.eventually(func() bool { return k.devices(bea) == 1 })
		k.reads(k.says("to one"), "to one")
		require.Zero(k.t, k.server.Counters().AckErrors)
	},
	"contact's device list changed": func(k *talk) {
		k.knowsDevices(bea, 1)
		k.says("hello")
		asked := k.server.Counters().UsyncQueries
		require.NoError(k.t, k.server.RefreshDevices(bea))
		k.eventually(func() bool {
			_, err := k.client.GetUserDevices(k.t.Context(), []types.JID{jidOf(bea)}) // by LID it keeps what it knows
			require.NoError(k.t, err)
			return k.server.Counters().UsyncQueries > asked
		})
	},
	"device the client was not told of": func(k *talk) {
		k.says("to one")
		require.NoError(k.t, k.server.AddAccount(simulator.AccountSpec{Number: bea, Companions: 1})) // tells nobody
		k.client.log.tolerate()
		k.says("to one still")
		require.Equal(k.t, 1, k.server.Counters().MissingDevices)
		id := k.says("to both") // the other hash in the answer made the client ask
		k.shown(func(e simulator.Entry) bool { return e.ID == id && e.Device == 1 })
	},
	"own account links and removes a client": func(k *talk) {
		k.knowsDevices(ana, 2)
		second := k.clientOf(ana)
		k.eventually(func() bool { return k.devices(ana) == 3 })
		id := k.says("hello")
		copied := wait[*events.Message](k.t, second)
		require.Equal(k.t, id, copied.Info.ID)
		require.True(k.t, copied.Info.IsFromMe)
		second.log.tolerate()
		require.NoError(k.t, k.server.RemoveDevice(ana, second.Store.ID.Device))
		wait[*events.LoggedOut](k.t, second)
		k.eventually(func() bool { return k.devices(ana) == 2 })
		k.reads(k.says("alone again"), "alone again")
		require.Zero(k.t, k.server.Counters().AckErrors)
	},
}

// devices returns how many devices the client knows of an account, as far as it has to ask.
func (k *talk) devices(number string) int {
	k.t.Helper()
	devices, err := k.client.GetUserDevices(k.t.Context(), []types.JID{k.lidOf(number)})
	require.NoError(k.t, err)
	return len(devices)
}

// knowsDevices lets the client look up an account's devices by both addresses: it takes notices of changes for those it
// knows by number.
func (k *talk) knowsDevices(number string, count int) {
	k.t.Helper()
	require.Equal(k.t, count, k.devices(number))
	_, err := k.client.GetUserDevices(k.t.Context(), []types.JID{jidOf(number)})
	require.NoError(k.t, err)
}
