package simulator_test

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.mau.fi/libsignal/logger"
	"go.mau.fi/whatsmeow"
	"go.uber.org/goleak"

	"whatsappd/simulator"
)

// rootPrivate is the root key of every server of these tests: the client library trusts one root per process.
const rootPrivate = "5a17000000000000000000000000000000000000000000000000000000000001"

func TestMain(m *testing.M) {
	trust(rootPrivate)
	// A client notices a connection that is open and silent by its pings: fast here, in minutes by default.
	whatsmeow.KeepAliveIntervalMin, whatsmeow.KeepAliveIntervalMax = time.Second, 2*time.Second
	whatsmeow.KeepAliveResponseDeadline = 5 * time.Second
	silence := logger.Loggable(silentSignal{})
	logger.Setup(&silence)
	// Most tests wait for each other's side: more of them at once than there are processors.
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code := m.Run()
	// The library may leave a reader behind when a connection is closed while a frame comes in.
	theirs := goleak.IgnoreTopFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).frameComplete")
	// It looks out for more history for a minute after the last one.
	history := goleak.IgnoreTopFunction("go.mau.fi/whatsmeow.(*Client).handleHistorySyncNotificationLoop")
	// It may not notice a Disconnect that comes in the middle of a reconnect, and waits for the next try.
	reconnect := goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow.(*Client).autoReconnect")
	if err := goleak.Find(theirs, history, reconnect); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// trust makes the client library trust a root key, before the first client exists.
func trust(private string) {
	server, err := simulator.New(simulator.Options{RootPrivate: private})
	if err != nil {
		panic(err)
	}
	root, err := hex.DecodeString(server.RootKey())
	if err != nil {
		panic(err)
	}
	copy(whatsmeow.WACertPubKey[:], root)
	if err := server.Close(); err != nil {
		panic(err)
	}
}

// silentSignal keeps the Signal library from printing to standard output.
type silentSignal struct{}

func (silentSignal) Debug(_, _ string)   {}
func (silentSignal) Info(_, _ string)    {}
func (silentSignal) Warning(_, _ string) {}
func (silentSignal) Error(_, _ string)   {}
func (silentSignal) Configure(_ string)  {}
