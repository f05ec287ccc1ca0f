package simulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// picture is the content of a file.
func picture() []byte { return bytes.Repeat([]byte("not really a picture "), 1000) }

func hexHash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// imageMessage is a message with a file that was uploaded.
func imageMessage(up whatsmeow.UploadResponse) *waE2E.Message {
	return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
		URL: &up.URL, DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256, FileSHA256: up.FileSHA256,
		FileLength: &up.FileLength, Mimetype: proto.String("image/png"), Caption: proto.String("look"),
	}}
}

func sendMessage(t *testing.T, c *client, number string, message *waE2E.Message) string {
	t.Helper()
	res, err := c.SendMessage(t.Context(), types.NewJID(number, types.DefaultUserServer), message)
	require.NoError(t, err)
	return res.ID
}

func TestContactsOpenTheFilesTheyAreSent(t *testing.T) {
	t.Parallel()
	for kind, purpose := range map[string]whatsmeow.MediaType{
		"image": whatsmeow.MediaImage, "video": whatsmeow.MediaVideo, "audio": whatsmeow.MediaAudio, "document": whatsmeow.MediaDocument,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			addContacts(t, server, 1, simulator.Behaviour{})
			c := paired(t, server)
			up, err := c.Upload(t.Context(), picture(), purpose)
			require.NoError(t, err)
			message, caption := new(waE2E.Message), ""
			switch kind {
			case "image":
				message, caption = imageMessage(up), "look"
			case "video":
				message.VideoMessage = &waE2E.VideoMessage{
					DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256, FileSHA256: up.FileSHA256,
					FileLength: &up.FileLength,
				}
			case "audio":
				message.AudioMessage = &waE2E.AudioMessage{
					DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256, FileSHA256: up.FileSHA256,
					FileLength: &up.FileLength,
				}
			default:
				caption = "look"
				message.DocumentWithCaptionMessage = &waE2E.FutureProofMessage{Message: &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
					DirectPath: &up.DirectPath, MediaKey: up.MediaKey, FileEncSHA256: up.FileEncSHA256, FileSHA256: up.FileSHA256,
					FileLength: &up.FileLength, FileName: proto.String("a.txt"), Caption: proto.String("look"),
				}}}
			}
			id := sendMessage(t, c, contactNumber(0), message)
			entry := inbox(t, server, contactNumber(0), 1)[0]
			require.Equal(t, kind, entry.Kind)
			require.Equal(t, caption, entry.Text)
			require.Equal(t, len(picture()), entry.File.Size)
			require.Equal(t, hexHash(picture()), entry.File.SHA256)
			require.Empty(t, entry.File.Problem)
			file, content, err := server.Content(contactNumber(0), id)
			require.NoError(t, err)
			require.Equal(t, picture(), content)
			require.Equal(t, kind == "document", file.FileName == "a.txt")
			require.Equal(t, hexHash(picture()), inbox(t, server, ana, 1)[0].File.SHA256, "the own phone has it too")
		})
	}
}

func TestClientsOpenTheFilesOfContacts(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	c := paired(t, server)
	for _, kind := range []string{"image", "video", "audio", "document"} {
		_, err := server.Send(t.Context(), contactNumber(0), simulator.Message{
			To: ana, Text: "look", Attachment: &simulator.Attachment{Kind: kind, MimeType: "x/y", FileName: "a.txt", Data: picture()},
		})
		require.NoError(t, err)
		got := wait[*events.Message](t, c)
		require.Equal(t, "media", got.Info.Type)
		require.Equal(t, kind, got.Info.MediaType)
		content, err := c.DownloadAny(t.Context(), got.Message) //nolint:staticcheck // any of the four
		require.NoError(t, err, kind)
		require.Equal(t, picture(), content)
	}
	require.Equal(t, 4, server.Counters().Downloads)
	for _, m := range []simulator.Message{
		{To: ana, Attachment: &simulator.Attachment{Kind: "hologram"}},
		{To: ana, Attachment: &simulator.Attachment{Kind: "image"}, React: "X"},
	} {
		_, err := server.Send(t.Context(), contactNumber(0), m)
		require.Error(t, err)
	}
}

func TestFilesThatAreNotWhatTheMessageSaysAreToldByName(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*waE2E.ImageMessage){
		"the file is not there":                func(m *waE2E.ImageMessage) { zero(m, 1) },
		"the hash of the encrypted file":       func(m *waE2E.ImageMessage) { m.FileEncSHA256[0]++ },
		"wrong authentication code":            func(m *waE2E.ImageMessage) { m.MediaKey[0]++ },
		"media key of 3 bytes":                 func(m *waE2E.ImageMessage) { m.MediaKey = []byte("key") },
		"the content has another hash or leng": func(m *waE2E.ImageMessage) { m.FileSHA256[0]++ },
		"another hash or length":               func(m *waE2E.ImageMessage) { *m.FileLength++ },
		"the direct path is not one":           func(m *waE2E.ImageMessage) { m.DirectPath = proto.String("/v/image/x?y") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			server.Expect("a file that cannot be opened")
			addContacts(t, server, 1, simulator.Behaviour{})
			c := paired(t, server)
			up, err := c.Upload(t.Context(), picture(), whatsmeow.MediaImage)
			require.NoError(t, err)
			message := imageMessage(up)
			spoil(message.ImageMessage)
			id := sendMessage(t, c, contactNumber(0), message)
			require.Contains(t, inbox(t, server, contactNumber(0), 1)[0].File.Problem, name)
			_, _, err = server.Content(contactNumber(0), id)
			require.ErrorContains(t, err, name)
		})
	}
}

// zero points a message at a file that nobody uploaded.
func zero(m *waE2E.ImageMessage, first byte) {
	m.FileEncSHA256 = append([]byte{first}, make([]byte, 31)...)
	m.DirectPath = proto.String("/v/image/AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?ccb=1")
}

func TestFilesAreDeletedAtAClientsWish(t *testing.T) {
	t.Parallel()
	server := start(t)
	c := paired(t, server)
	up, err := c.Upload(t.Context(), picture(), whatsmeow.MediaHistory)
	require.NoError(t, err)
	get := func() error {
		_, err := c.DownloadMediaWithPath(t.Context(), up.DirectPath, up.FileEncSHA256, up.FileSHA256, up.MediaKey, whatsmeow.MediaHistory, "", false)
		return err
	}
	require.NoError(t, get())
	require.NoError(t, c.DeleteMedia(t.Context(), whatsmeow.MediaHistory, up.DirectPath, up.FileEncSHA256, ""))
	require.ErrorIs(t, get(), whatsmeow.ErrMediaDownloadFailedWith404)
	require.Equal(t, 1, server.Counters().MediaDeleted)
}

func TestUploadsThatNoClientShouldTryAreRefused(t *testing.T) {
	t.Parallel()
	server := start(t)
	server.Expect("upload", "download", "deletion")
	for name, row := range map[string]struct {
		method, path string
		status       int
	}{
		"without a word": {http.MethodPost, "/mms/image/AAAA", http.StatusUnauthorized},
		"a made-up word": {http.MethodPost, "/mms/image/AAAA?auth=" + ana + ".9999999999.AAAA", http.StatusUnauthorized},
		"no right":       {http.MethodDelete, "/mms/image/AAAA", http.StatusUnauthorized},
		"other hash":     {http.MethodGet, "/v/image/AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?x=1&hash=AAAA", http.StatusForbidden},
		"not there":      {http.MethodGet, "/v/image/AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA?x=1", http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), row.method, "http://"+server.Addr()+row.path, strings.NewReader("x"))
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, row.status, res.StatusCode, name)
	}
}

func TestFilesGoThroughTheControlAPI(t *testing.T) {
	t.Parallel()
	server := start(t)
	addContacts(t, server, 1, simulator.Behaviour{})
	web := httptest.NewServer((&simulator.Control{Server: server}).Handler())
	t.Cleanup(web.Close)
	control := simulator.NewClient(web.URL)
	require.NoError(t, control.Send(t.Context(), contactNumber(0), simulator.Message{
		To: ana, Text: "look", Attachment: &simulator.Attachment{Kind: "image", Data: picture()},
	}))
	entries, err := control.WaitInbox(t.Context(), ana, 1)
	require.NoError(t, err)
	require.Equal(t, "image", entries[0].Kind)
	file, content, err := control.Content(t.Context(), ana, entries[0].ID)
	require.NoError(t, err)
	require.Equal(t, picture(), content)
	require.Equal(t, hexHash(picture()), file.SHA256)
	_, _, err = control.Content(t.Context(), ana, "none")
	require.ErrorContains(t, err, "no such message with a file")
}
