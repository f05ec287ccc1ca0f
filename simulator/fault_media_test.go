package simulator_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"

	"whatsappd/simulator"
)

// mediaRows is what a client sees of its uploads and downloads.
var mediaRows = map[string]func(*scene){
	"upload error": func(s *scene) {
		s.strike(withCode(403))
		require.ErrorContains(s.t, s.upload(patience), "upload failed with status code 403")
		require.NoError(s.t, s.upload(patience), "the next one")
	},
	"upload delay": func(s *scene) { s.strike(withDelay(50 * time.Millisecond)); require.NoError(s.t, s.upload(patience)) },
	"upload silence": func(s *scene) {
		s.strike()
		require.ErrorIs(s.t, s.upload(3*time.Second), context.DeadlineExceeded)
	},
	"upload drop": func(s *scene) {
		s.strike()
		require.ErrorContains(s.t, s.upload(patience), "failed to execute request")
	},

	"download error": func(s *scene) {
		for code, err := range map[int]error{
			403: whatsmeow.ErrMediaDownloadFailedWith403, 404: whatsmeow.ErrMediaDownloadFailedWith404,
			410: whatsmeow.ErrMediaDownloadFailedWith410,
		} {
			s.strike(withCode(code))
			require.ErrorIs(s.t, s.download(patience), err, "and no second try")
		}
		require.NoError(s.t, s.download(patience))
	},
	"download delay": func(s *scene) { s.strike(withDelay(50 * time.Millisecond)); require.NoError(s.t, s.download(patience)) },
	"download silence": func(s *scene) {
		s.strike()
		require.ErrorIs(s.t, s.download(3*time.Second), context.DeadlineExceeded)
	},
	"download drop": func(s *scene) { s.strike(); require.NoError(s.t, s.download(patience), "at the second try") },
	"download half": func(s *scene) { s.strike(); require.ErrorContains(s.t, s.download(patience), "unexpected EOF") },
	"download corrupt": func(s *scene) {
		s.strike()
		require.ErrorIs(s.t, s.download(patience), whatsmeow.ErrInvalidMediaEncSHA256)
	},
}

// upload uploads a file, and gives up after so long.
func (s *scene) upload(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, err := s.client.Upload(ctx, picture(), whatsmeow.MediaImage)
	return err
}

// download gets a file that the contact sent, and gives up after so long.
func (s *scene) download(patience time.Duration) error {
	_, err := s.server.Send(s.t.Context(), contactNumber(0), simulator.Message{
		To: ana, Attachment: &simulator.Attachment{Kind: "image", Data: picture()},
	})
	require.NoError(s.t, err)
	image := wait[*events.Message](s.t, s.client).Message.GetImageMessage()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, err = s.client.Download(ctx, image)
	return err
}

func TestMediaFaultsStrikeTheClientsOfOneAccount(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	s := &scene{t: t, server: server, client: paired(t, server)}
	for _, at := range []string{"upload", "download"} {
		_, err := server.AddFaults(simulator.Fault{At: at, Do: "error", Code: 500, Account: contactNumber(0)})
		require.NoError(t, err)
	}
	require.NoError(t, s.upload(patience))
	require.NoError(t, s.download(patience))
	require.Zero(t, server.Faults()[0].Hits+server.Faults()[1].Hits)
}
