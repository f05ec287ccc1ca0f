package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	_ "github.com/mattn/go-sqlite3" // as the daemon has it
)

// serveBare is what the daemon is compared with: a handler that compares the token in constant time and inserts one row, which
// is on the disk before the answer. It ends when its parent does.
func serveBare(ctx context.Context, o options) error {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(o.bare, "bare.db")+"?_journal_mode=WAL&_synchronous=FULL&_busy_timeout=20000&_stmt_cache_size=8")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE task (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, work TEXT, created INTEGER)`); err != nil {
		return err
	}
	right := sha256.Sum256([]byte("Token token=" + token))
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed with the server
	if err != nil {
		return err
	}
	fmt.Printf(`{"msg":"listening","address":"%s"}`+"\n", listener.Addr())
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(shown[:], right[:]) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		id, err := uuid.NewV7()
		if err == nil {
			_, err = db.ExecContext(r.Context(), `INSERT INTO task (id, work, created) VALUES (?, ?, ?)`, id.String(), r.URL.EscapedPath(), time.Now().UnixMilli())
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"task_id": id.String()}, "status": "success"}) // who asked has gone
	})}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// bareHandler starts it as a process of its own, as the daemon is one.
func bareHandler(b *bench) (*process, string, error) {
	dir, err := os.MkdirTemp(b.dir, "bare-")
	if err != nil {
		return nil, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	p, err := start("the bare handler", dir, self, nil, "-bare", dir)
	if err != nil {
		return nil, "", err
	}
	address, err := p.prints(listening)
	if err != nil {
		p.kill()
	}
	return p, address, err
}
