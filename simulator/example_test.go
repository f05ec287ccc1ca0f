package simulator_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"whatsappd/simulator"
)

// Two virtual phones write to each other. What the inbox shows was encrypted and decrypted.
func Example() {
	sim, err := simulator.New(simulator.Options{})
	must(err)
	defer sim.Close()
	must(sim.Start())
	must(sim.AddAccount(simulator.AccountSpec{Number: "15550100101", Name: "Ana"}))
	must(sim.AddAccount(simulator.AccountSpec{Number: "15550100102", Name: "Ben"}))

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err = sim.Write(ctx, "15550100101", "15550100102", "hello Ben")
	must(err)
	must(sim.WaitInbox(ctx, "15550100102", func(entries []simulator.Entry) bool { return len(entries) == 1 }))
	for _, entry := range sim.Inbox("15550100102") {
		fmt.Println(entry.From, entry.Text)
	}
	// Output: 15550100101 hello Ben
}

// In a test: a free port, closed at the end, and whatever the client did wrong fails the test by name.
func ExampleStart() {
	_ = func(t *testing.T) {
		sim := simulator.Start(t)
		if err := sim.AddAccount(simulator.AccountSpec{Number: "15550100100", Name: "Me"}); err != nil {
			t.Fatal(err)
		}
		connectYourClient(sim.Addr(), sim.RootKey())
	}
}

// whatsmeow pairs by a code that a virtual phone scans, writes to a contact, and is answered.
func Example_whatsmeow() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sim, client, stop := pairedWhatsmeow(ctx)
	defer stop()
	answers := make(chan string, 1)
	client.AddEventHandler(func(event any) {
		if message, ok := event.(*events.Message); ok {
			answers <- message.Message.GetConversation()
		}
	})
	must(sim.AddAccount(simulator.AccountSpec{
		Number: "15550100101", Name: "Ana",
		Behaviour: simulator.Behaviour{Receipts: "read", Keywords: map[string]string{"price": "It is free."}},
	}))

	ana := types.NewJID("15550100101", types.DefaultUserServer)
	_, err := client.SendMessage(ctx, ana, &waE2E.Message{Conversation: proto.String("What is the price?")})
	must(err)
	fmt.Println(<-answers)
	fmt.Println(sim.Inbox("15550100101")[0].Text)
	// Output:
	// It is free.
	// What is the price?
}

// A fault strikes once: the first message is refused with the code, the second is taken.
func ExampleServer_AddFaults() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sim, client, stop := pairedWhatsmeow(ctx)
	defer stop()
	must(sim.AddAccount(simulator.AccountSpec{Number: "15550100101", Name: "Ana"}))
	_, err := sim.AddFaults(simulator.Fault{At: "message", Do: "error", Code: 479, Times: 1})
	must(err)

	ana := types.NewJID("15550100101", types.DefaultUserServer)
	for range 2 {
		_, err = client.SendMessage(ctx, ana, &waE2E.Message{Conversation: proto.String("hello")})
		fmt.Println(err)
	}
	fmt.Println(sim.Counters().Faults)
	// Output:
	// server returned error 479
	// <nil>
	// map[message error:1]
}

// pairedWhatsmeow starts a simulator and links a whatsmeow client to the phone 15550100100.
func pairedWhatsmeow(ctx context.Context) (sim *simulator.Server, client *whatsmeow.Client, stop func()) {
	// whatsmeow trusts one root per process. Programs with one simulator can leave RootPrivate empty.
	sim, err := simulator.New(simulator.Options{RootPrivate: rootPrivate})
	must(err)
	must(sim.Start())
	must(sim.AddAccount(simulator.AccountSpec{Number: "15550100100", Name: "Me"}))
	root, err := hex.DecodeString(sim.RootKey())
	must(err)
	copy(whatsmeow.WACertPubKey[:], root)

	db, err := sql.Open("sqlite3", "file::memory:?_foreign_keys=on")
	must(err)
	db.SetMaxOpenConns(1)
	keys := sqlstore.NewWithDB(db, "sqlite3", nil)
	must(keys.Upgrade(ctx))
	client = whatsmeow.NewClient(keys.NewDevice(), nil)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, sim.Addr())
	}
	web := &http.Client{Transport: &http.Transport{DialContext: dial, DialTLSContext: dial}}
	client.SetWebsocketHTTPClient(web)
	client.SetPreLoginHTTPClient(web)
	client.SetMediaHTTPClient(web)

	codes, online := make(chan string, 1), make(chan struct{}, 1)
	client.AddEventHandler(func(event any) {
		switch event := event.(type) {
		case *events.QR:
			codes <- event.Codes[0]
		case *events.Connected:
			online <- struct{}{}
		}
	})
	must(client.Connect())
	must(sim.Scan(ctx, "15550100100", <-codes))
	<-online
	return sim, client, func() {
		client.Disconnect()
		must(sim.Close())
		must(keys.Close())
	}
}

// connectYourClient stands for the client under test.
func connectYourClient(address, rootKey string) {}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
