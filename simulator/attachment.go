package simulator

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

// Attachment is a file that the phone of an account sends. The text of its message is the caption; audio has none.
type Attachment struct {
	// Kind is "image", "video", "audio" or "document".
	Kind string `json:"kind"`
	// MimeType says what the content is. Default application/octet-stream.
	MimeType string `json:"mime_type,omitempty"`
	// FileName is the name of a document.
	FileName string `json:"file_name,omitempty"`
	// Data is the content, in base64 as JSON.
	Data []byte `json:"data"`
}

// File describes a file that came with a message, as the recipient found it.
type File struct {
	MimeType string `json:"mime_type,omitempty"`
	FileName string `json:"file_name,omitempty"`
	Size     int    `json:"size"`
	SHA256   string `json:"sha256"` // of the content, hex
	// Problem says why the recipient could not open it; Size and SHA256 are then what the message claims.
	Problem string `json:"problem,omitempty"`

	sealed sealedFile // not in the state file, as the files are not
}

// sealedFile is what a message says of a file: where it is and how it is opened.
type sealedFile struct {
	purpose string // of the keys
	path    string
	key     []byte
	hash    []byte // of the encrypted file
	plain   []byte // hash of the content
	size    uint64
}

// The purposes of media keys. Source: MediaType of whatsmeow.
const (
	forImages    = "WhatsApp Image Keys"
	forVideos    = "WhatsApp Video Keys"
	forAudio     = "WhatsApp Audio Keys"
	forDocuments = "WhatsApp Document Keys"
	forHistory   = "WhatsApp History Keys"
	forAppState  = "WhatsApp App State Keys"
)

// macLength is how much of the authentication code stands behind an encrypted file. Source: mediaHMACLength of whatsmeow.
const macLength = 10

// mediaKeys derives what encrypts and authenticates a file. Source: getMediaKeys of whatsmeow.
func mediaKeys(key []byte, purpose string) (iv, cipherKey, macKey []byte, err error) {
	all, err := hkdf.Key(sha256.New, key, nil, purpose, 112)
	if err != nil {
		return nil, nil, nil, err
	}
	return all[:16], all[16:48], all[48:80], nil // the rest has no use
}

// sealFile encrypts a file: AES-256-CBC with padding, then a part of the HMAC over IV and ciphertext.
func sealFile(key []byte, purpose string, plain []byte) ([]byte, error) {
	iv, cipherKey, macKey, err := mediaKeys(key, purpose)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cipherKey)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	sealed := make([]byte, 0, len(plain)+padding+macLength)
	sealed = append(append(sealed, plain...), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, sealed)
	return append(sealed, fileMAC(macKey, iv, sealed)...), nil
}

// openFile checks and decrypts a file.
func openFile(key []byte, purpose string, sealed []byte) ([]byte, error) {
	iv, cipherKey, macKey, err := mediaKeys(key, purpose)
	if err != nil {
		return nil, err
	}
	length := len(sealed) - macLength
	if length < aes.BlockSize || length%aes.BlockSize != 0 {
		return nil, fmt.Errorf("encrypted file of %d bytes", len(sealed))
	}
	if !hmac.Equal(sealed[length:], fileMAC(macKey, iv, sealed[:length])) {
		return nil, errors.New("wrong authentication code")
	}
	block, err := aes.NewCipher(cipherKey)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, length)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed[:length])
	padding := int(plain[length-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, errors.New("wrong padding")
	}
	return plain[:length-padding], nil
}

func fileMAC(key, iv, ciphertext []byte) []byte {
	sum := hmac.New(sha256.New, key)
	sum.Write(iv)
	sum.Write(ciphertext)
	return sum.Sum(nil)[:macLength]
}

// putFile encrypts content for a purpose and puts it where clients download it. kind is the word in its path.
func (s *Server) putFile(kind, purpose string, content []byte) (sealedFile, error) {
	if len(content) > maxFile-aes.BlockSize-macLength {
		return sealedFile{}, fmt.Errorf("a file of %d bytes is too large: the simulator keeps up to %d", len(content), maxFile)
	}
	key := randomBytes(32)
	sealed, err := sealFile(key, purpose, content)
	if err != nil {
		return sealedFile{}, err
	}
	hash, plain := s.media.put(sealed), sha256.Sum256(content)
	return sealedFile{
		purpose: purpose, path: directPath(kind, hash), key: key, hash: hash[:], plain: plain[:], size: uint64(len(content)),
	}, nil
}

// openContent gets a file from its path and checks everything a message says of it.
func (s *Server) openContent(f sealedFile) ([]byte, error) {
	path, _, hasQuery := strings.Cut(f.path, "?")
	parts := strings.Split(path, "/")
	hash, ok := parseToken(parts[len(parts)-1])
	switch {
	case len(f.key) != 32:
		return nil, fmt.Errorf("media key of %d bytes", len(f.key))
	case !ok || !hasQuery || parts[0] != "":
		return nil, errors.New("the direct path is not one that an upload was answered with")
	case !bytes.Equal(f.hash, hash[:]):
		return nil, errors.New("the hash of the encrypted file is another one")
	}
	sealed, ok := s.media.get(hash)
	if !ok {
		return nil, errors.New("the file is not there")
	}
	content, err := openFile(f.key, f.purpose, sealed)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); !bytes.Equal(f.plain, sum[:]) || f.size != uint64(len(content)) {
		return nil, errors.New("the content has another hash or length than the message says")
	}
	return content, nil
}

// attach makes the content of a message with a file, and puts the file where clients find it.
func (s *Server) attach(m Message) (*waE2E.Message, outgoing, error) {
	a, out := m.Attachment, outgoing{Stanza: stanzaMedia, MediaType: m.Attachment.Kind}
	if m.ReplyTo+m.Edit+m.Revoke+m.React+m.Forge != "" {
		return nil, out, errors.New("an attachment comes with a new message, not with a reply, an edit or the like")
	}
	purposes := map[string]string{"image": forImages, "video": forVideos, "audio": forAudio, "document": forDocuments}
	if purposes[a.Kind] == "" {
		return nil, out, fmt.Errorf("an attachment is an image, video, audio or document, not %q", a.Kind)
	}
	f, err := s.putFile(a.Kind, purposes[a.Kind], a.Data)
	if err != nil {
		return nil, out, err
	}
	url, now := proto.String("https://"+mediaHost(m.To)+f.path), proto.Int64(time.Now().Unix())
	path, mime, size := proto.String(f.path), proto.String(cmp.Or(a.MimeType, "application/octet-stream")), proto.Uint64(f.size)
	caption := proto.String(m.Text)
	if m.Text == "" {
		caption = nil
	}
	switch a.Kind {
	case "image":
		return &waE2E.Message{ImageMessage: &waE2E.ImageMessage{
			URL: url, DirectPath: path, MediaKey: f.key, FileEncSHA256: f.hash, FileSHA256: f.plain, FileLength: size,
			Mimetype: mime, Caption: caption, MediaKeyTimestamp: now,
		}}, out, nil
	case "video":
		return &waE2E.Message{VideoMessage: &waE2E.VideoMessage{
			URL: url, DirectPath: path, MediaKey: f.key, FileEncSHA256: f.hash, FileSHA256: f.plain, FileLength: size,
			Mimetype: mime, Caption: caption, MediaKeyTimestamp: now,
		}}, out, nil
	case "audio":
		return &waE2E.Message{AudioMessage: &waE2E.AudioMessage{
			URL: url, DirectPath: path, MediaKey: f.key, FileEncSHA256: f.hash, FileSHA256: f.plain, FileLength: size,
			Mimetype: mime, MediaKeyTimestamp: now,
		}}, out, nil
	default:
		return &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
			URL: url, DirectPath: path, MediaKey: f.key, FileEncSHA256: f.hash, FileSHA256: f.plain, FileLength: size,
			Mimetype: mime, Caption: caption, MediaKeyTimestamp: now, FileName: proto.String(a.FileName),
		}}, out, nil
	}
}

// attached is what the protobufs of messages with files have in common.
type attached interface {
	GetDirectPath() string
	GetMediaKey() []byte
	GetFileEncSHA256() []byte
	GetFileSHA256() []byte
	GetFileLength() uint64
	GetMimetype() string
}

// attachmentOf finds the file in a message, its kind and its caption. It is nil in a message without one.
func attachmentOf(message *waE2E.Message) (f *File, kind, caption string) {
	var (
		a       attached
		purpose string
	)
	switch {
	case message.ImageMessage != nil:
		a, kind, purpose, caption = message.ImageMessage, "image", forImages, message.ImageMessage.GetCaption()
	case message.VideoMessage != nil:
		a, kind, purpose, caption = message.VideoMessage, "video", forVideos, message.VideoMessage.GetCaption()
	case message.AudioMessage != nil:
		a, kind, purpose = message.AudioMessage, "audio", forAudio
	case message.DocumentMessage != nil:
		a, kind, purpose, caption = message.DocumentMessage, "document", forDocuments, message.DocumentMessage.GetCaption()
	case message.StickerMessage != nil:
		a, kind, purpose = message.StickerMessage, "sticker", forImages
	default:
		return nil, "", ""
	}
	return &File{
		MimeType: a.GetMimetype(), FileName: message.GetDocumentMessage().GetFileName(),
		Size: int(a.GetFileLength()), SHA256: hex.EncodeToString(a.GetFileSHA256()),
		sealed: sealedFile{
			purpose: purpose, path: a.GetDirectPath(), key: a.GetMediaKey(), hash: a.GetFileEncSHA256(), plain: a.GetFileSHA256(),
			size: a.GetFileLength(),
		},
	}, kind, caption
}

// errNoFile is the answer to who wants a file that is not there.
var errNoFile = errors.New("no such message with a file, or the file is gone: files are forgotten at a restart and when there are too many")

// Content returns the content of the file that came with a message in an account's inbox. It fails when there is none, when
// the recipient could not open it, and when the server has forgotten it.
func (s *Server) Content(number, messageID string) (File, []byte, error) {
	for _, entry := range s.Inbox(number) {
		if entry.ID != messageID || entry.File == nil {
			continue
		}
		if entry.File.Problem != "" {
			return *entry.File, nil, fmt.Errorf("the file could not be opened: %s", entry.File.Problem)
		}
		content, err := s.openContent(entry.File.sealed)
		if err != nil {
			return *entry.File, nil, fmt.Errorf("%w (%w)", errNoFile, err)
		}
		return *entry.File, content, nil
	}
	return File{}, nil, errNoFile
}
