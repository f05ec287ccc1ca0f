package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // the library's store
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store/sqlstore"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// patience is how long anything may take that must happen.
const patience = 20 * time.Second

// client is the library's client with the events it has heard.
type client struct {
	*whatsmeow.Client
	heard chan any
}

// newClient makes a client with an empty store in a folder, which dials the simulator whatever host the library names.
func newClient(ctx context.Context, folder, address string) (*client, error) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(folder, "store.db")+"?_foreign_keys=on&_synchronous=OFF")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	container := sqlstore.NewWithDB(db, "sqlite3", waLog.Noop)
	if err := container.Upgrade(ctx); err != nil {
		return nil, fmt.Errorf("make the store: %w", err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	web := &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}}
	c := &client{
		Client: whatsmeow.NewClient(container.NewDevice(), waLog.Stdout("whatsmeow 2025", "WARN", false)),
		heard:  make(chan any, 1000),
	}
	c.SetWebsocketHTTPClient(web)
	c.SetPreLoginHTTPClient(web)
	c.SetMediaHTTPClient(web)
	c.AddEventHandler(func(event any) { c.heard <- event })
	return c, nil
}

// trust makes the library trust a simulator's root key instead of WhatsApp's.
func trust(rootKey string) error {
	key, err := hex.DecodeString(rootKey)
	if err != nil || len(key) != len(whatsmeow.WACertPubKey) {
		return fmt.Errorf("root key %q is not 64 hex digits", rootKey)
	}
	whatsmeow.WACertPubKey = [32]byte(key)
	return nil
}

// await returns the next event of a type that satisfies a condition, and forgets those before it.
func await[E any](c *client, satisfied func(E) bool) (E, error) {
	late := time.After(patience)
	for {
		select {
		case event := <-c.heard:
			if wanted, ok := event.(E); ok && satisfied(wanted) {
				return wanted, nil
			}
		case <-late:
			var none E
			return none, fmt.Errorf("no %T in %s", none, patience)
		}
	}
}

// anyOf is the condition of who waits for any event of a type.
func anyOf[E any](E) bool { return true }

// makeFolder makes the folder of the store; the returned function removes it.
func makeFolder() (folder string, remove func(), err error) {
	folder, err = os.MkdirTemp("", "interop-whatsmeow-")
	return folder, func() { _ = os.RemoveAll(folder) }, err
}
