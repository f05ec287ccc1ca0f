package simulator

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
)

// Files travel beside the websocket: who sends one encrypts it, uploads it over HTTP, and puts path, key and hashes into a
// message; who gets the message downloads the file from the path. The server sees ciphertext only. Files are kept in memory,
// not in the state file, and the oldest go when there are too many: a client that asks too late is told 404, as it is by
// WhatsApp some weeks after the upload.
const (
	maxFile  = 64 << 20  // one encrypted file
	maxFiles = 256 << 20 // all together
)

// The life times a client is told: how long it may use the hosts, and how long the word it proves itself with.
// Source of the shape: queryMediaConn of whatsmeow, which wants all the attributes.
const (
	mediaHostsLife = 300 * time.Second
	mediaAuthLife  = 6 * time.Hour
)

// mediaKinds are the words for kinds of files in the paths of uploads. Source: mediaTypeToMMSType of whatsmeow and
// MEDIA_PATH_MAP of Baileys.
func mediaKinds() []string {
	return []string{
		"image", "video", "audio", "ptt", "document", "sticker", "sticker-pack", "thumbnail-link", "md-msg-hist", "md-app-state",
	}
}

// fileHash is the SHA-256 of an encrypted file, which names it.
type fileHash [sha256.Size]byte

// mediaStore holds encrypted files.
type mediaStore struct {
	mu    sync.Mutex
	files map[fileHash][]byte
	order []fileHash // oldest first
	size  int
	made  map[fileHash]func() []byte // files that are made anew for each download, and not kept
}

// promise takes a file that is made when somebody wants it.
func (m *mediaStore) promise(hash fileHash, produce func() []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.made == nil {
		m.made = map[fileHash]func() []byte{}
	}
	m.made[hash] = produce
}

// put keeps a file, and forgets the oldest when there is no room.
func (m *mediaStore) put(file []byte) fileHash {
	hash := fileHash(sha256.Sum256(file))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil {
		m.files = map[fileHash][]byte{}
	}
	if _, known := m.files[hash]; known {
		return hash
	}
	m.files[hash] = file
	m.order = append(m.order, hash)
	m.size += len(file)
	for m.size > maxFiles {
		m.removeLocked(m.order[0])
	}
	return hash
}

func (m *mediaStore) get(hash fileHash) ([]byte, bool) {
	m.mu.Lock()
	file, ok := m.files[hash]
	produce := m.made[hash]
	m.mu.Unlock()
	if produce != nil {
		return produce(), true
	}
	return file, ok
}

func (m *mediaStore) remove(hash fileHash) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.made, hash)
	m.removeLocked(hash)
}

func (m *mediaStore) removeLocked(hash fileHash) {
	if file, ok := m.files[hash]; ok {
		m.size -= len(file)
		delete(m.files, hash)
		m.order = slices.DeleteFunc(m.order, func(h fileHash) bool { return h == hash })
	}
}

// token is the hash as it stands in paths.
func (h fileHash) token() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// parseToken reads a hash out of a path or a query; clients write it with or without padding.
func parseToken(token string) (fileHash, bool) {
	hash, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(token, "="))
	if err != nil || len(hash) != sha256.Size {
		return fileHash{}, false
	}
	return fileHash(hash), true
}

// directPath is where a file is downloaded. Clients append more of the query to it with an ampersand, so it must have one. Source:
// DownloadMediaWithPath of whatsmeow; the path itself is a guess.
func directPath(kind string, hash fileHash) string {
	return "/v/" + kind + "/" + hash.token() + "?ccb=11-4"
}

// mediaConn tells a client where its files go. Every account has a host of its own, which tells whose download it is;
// clients dial the simulator whatever its name.
func (s *Server) mediaConn(number string) waBinary.Node {
	return waBinary.Node{
		Tag: "media_conn",
		Attrs: waBinary.Attrs{
			"auth": s.mediaAuth(number, time.Now().Add(mediaAuthLife).Unix()), "ttl": int(mediaHostsLife.Seconds()),
			"auth_ttl": int(mediaAuthLife.Seconds()), "max_buckets": "12",
		},
		Content: []waBinary.Node{{Tag: "host", Attrs: waBinary.Attrs{"hostname": mediaHost(number)}}},
	}
}

const (
	mediaHostPrefix = "media-"
	mediaHostSuffix = ".sim.invalid"
)

func mediaHost(number string) string { return mediaHostPrefix + number + mediaHostSuffix }

// hostOwner is the number of the account that was told a host, "" for another host.
func hostOwner(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	number, ours := strings.CutPrefix(strings.TrimSuffix(host, mediaHostSuffix), mediaHostPrefix)
	if !ours {
		return ""
	}
	return number
}

// mediaAuth is what a client proves itself with at uploads: its number and an end, signed so that it is still good when
// the server was restarted.
func (s *Server) mediaAuth(number string, until int64) string {
	what := fmt.Sprintf("%s.%d", number, until)
	sum := hmac.New(sha256.New, s.authority.root.Priv[:])
	sum.Write([]byte("media auth " + what))
	return what + "." + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

// mayUpload finds out whose upload it is. It is false for somebody who was not told where to upload.
func (s *Server) mayUpload(r *http.Request) (number string, ok bool) {
	auth := r.URL.Query().Get("auth")
	number, rest, _ := strings.Cut(auth, ".")
	end, _, _ := strings.Cut(rest, ".")
	until, err := strconv.ParseInt(end, 10, 64)
	if err != nil || time.Now().Unix() > until || !hmac.Equal([]byte(auth), []byte(s.mediaAuth(number, until))) {
		return "", false
	}
	return number, true
}

// handleMedia adds the paths of files to those the server answers. Source of the first two: rawUpload and DeleteMedia of whatsmeow.
func (s *Server) handleMedia(mux *http.ServeMux) {
	mux.HandleFunc("POST /mms/{kind}/{token}", s.serveUpload)
	mux.HandleFunc("DELETE /mms/{kind}/{token}", s.serveDelete)
	mux.HandleFunc("GET /v/{kind}/{token}", s.serveDownload)
}

// uploaded is the answer to an upload.
type uploaded struct {
	URL        string `json:"url"`
	DirectPath string `json:"direct_path"`
}

// serveUpload takes an encrypted file whose hash is what its path says.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	number, ok := s.mayUpload(r)
	if !ok {
		s.refuseMedia(w, http.StatusUnauthorized, "upload without the word of media_conn")
		return
	}
	if f, met := s.meet(moment{at: "upload", account: number}); met && s.disturbHTTP(w, r, f) {
		return
	}
	kind := r.PathValue("kind")
	if !slices.Contains(mediaKinds(), kind) {
		s.unhandled("upload of " + kind)
		http.Error(w, "unknown kind of file", http.StatusBadRequest)
		return
	}
	file, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFile))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		s.refuseMedia(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("upload of more than %d bytes", maxFile))
		return
	}
	if err != nil {
		return // the client hung up
	}
	named, ok := parseToken(r.PathValue("token"))
	if !ok || named != sha256.Sum256(file) {
		s.refuseMedia(w, http.StatusBadRequest, "upload whose hash is not what its path says")
		return
	}
	s.media.put(file)
	s.count(func(c *Counters) { c.Uploads++ })
	path := directPath(kind, named)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(uploaded{URL: "https://" + mediaHost(number) + path, DirectPath: path}) // the client has gone
}

// serveDownload gives out a file. Clients prove nothing: who knows the path may have the ciphertext.
func (s *Server) serveDownload(w http.ResponseWriter, r *http.Request) {
	f, met := s.meet(moment{at: "download", account: hostOwner(r.Host)})
	if met && s.disturbHTTP(w, r, f) {
		return
	}
	hash, _ := parseToken(r.PathValue("token"))
	if asked := r.URL.Query().Get("hash"); asked != "" {
		if named, ok := parseToken(asked); !ok || named != hash {
			s.refuseMedia(w, http.StatusForbidden, "download with another hash than the file's")
			return
		}
	}
	file, ok := s.media.get(hash)
	if !ok {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	s.count(func(c *Counters) { c.Downloads++ })
	w.Header().Set("Content-Type", "application/octet-stream")
	switch f.Do {
	case "half":
		w.Header().Set("Content-Length", strconv.Itoa(len(file)))
		_, _ = w.Write(file[:len(file)/2]) // cut right after
		_ = http.NewResponseController(w).Flush()
		cut(r, false)
		return
	case "corrupt":
		file = slices.Clone(file)
		file[len(file)/2] ^= 1
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file)) // some clients ask for a part
}

// serveDelete forgets a file. Clients ask for it once they have read a history.
func (s *Server) serveDelete(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.mayUpload(r); !ok {
		s.refuseMedia(w, http.StatusUnauthorized, "deletion of a file without the word of media_conn")
		return
	}
	hash, ok := parseToken(r.PathValue("token"))
	if !ok {
		s.refuseMedia(w, http.StatusBadRequest, "deletion of a file whose name is no hash")
		return
	}
	s.media.remove(hash)
	s.count(func(c *Counters) { c.MediaDeleted++ })
}

// refuseMedia refuses what no client should ask for.
func (s *Server) refuseMedia(w http.ResponseWriter, status int, why string) {
	s.problem("%s", why)
	http.Error(w, why, status)
}
