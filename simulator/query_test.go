package simulator_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/types"

	"whatsappd/simulator"
)

func TestDevicesAndLIDsAreListed(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	phone := types.NewJID(ana, types.DefaultUserServer)

	infos, err := c.GetUserInfo(t.Context(), []types.JID{phone})
	require.NoError(t, err)
	info := infos[phone]
	require.Equal(t, c.device.LID.ToNonAD(), info.LID)
	require.Len(t, info.Devices, 2)

	devices, err := c.GetUserDevices(t.Context(), []types.JID{info.LID})
	require.NoError(t, err)
	require.ElementsMatch(t, []types.JID{info.LID, c.device.LID}, devices)
}

func TestUnknownUserHasNoDevices(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	require.NoError(t, server.AddAccount(simulator.AccountSpec{Number: "5511900000009", Unregistered: true}))
	for _, number := range []string{"5511900000009", "5511900000010"} {
		devices, err := c.GetUserDevices(t.Context(), []types.JID{types.NewJID(number, types.DefaultUserServer)})
		require.NoError(t, err)
		require.Empty(t, devices)
	}
}

func TestPrivacySettingsAreAnswered(t *testing.T) {
	t.Parallel()
	c := paired(t, start(t))
	settings := c.GetPrivacySettings(t.Context())
	require.Equal(t, types.PrivacySettingAll, settings.ReadReceipts)
}

func TestAppStateIsEmpty(t *testing.T) {
	t.Parallel()
	c := paired(t, start(t))
	require.NoError(t, c.FetchAppState(t.Context(), appstate.WAPatchRegular, true, false))
}

func TestUnknownRequestIsCountedByName(t *testing.T) {
	t.Parallel()
	server := start(t)
	server.Expect("w:qr")
	c := paired(t, server)
	_, err := c.GetContactQRLink(t.Context(), false)
	var refused *whatsmeow.IQError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 501, refused.Code)
	require.Equal(t, map[string]int{"iq w:qr set qr": 1}, server.Counters().Unhandled)
}

func TestPresenceIsNoted(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	require.NoError(t, c.SendChatPresence(t.Context(), types.NewJID(ana, types.DefaultUserServer), types.ChatPresenceComposing, types.ChatPresenceMediaText))
	_, err := c.GetProfilePictureInfo(t.Context(), types.NewJID(ana, types.DefaultUserServer), nil) // answered after it
	require.ErrorIs(t, err, whatsmeow.ErrProfilePictureNotSet)
	require.Equal(t, 1, server.Counters().Noted["chatstate"])
}
