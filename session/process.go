package session

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.mau.fi/libsignal/logger"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/store"
	"google.golang.org/protobuf/proto"
)

// The library keeps some settings in package variables, for every client of the process. This file holds all of ours.

// liveRoot is the key at the root of the real WhatsApp's certificates, as the library pins it. It is never changed.
var liveRoot = whatsmeow.WACertPubKey //nolint:gochecknoglobals // a copy of the library's own, read only

// onceSignal and onceDevice see to it that what a process has once is set once.
var onceSignal, onceDevice sync.Once //nolint:gochecknoglobals // what they guard is the process's

// UseRootKey makes this process trust a simulator's root key (hex of 32 bytes) instead of WhatsApp's. Call it before the
// first account is opened, and never in a process that talks to the real WhatsApp. The same key again changes nothing;
// another one is refused.
func UseRootKey(text string) error {
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != len(whatsmeow.WACertPubKey) {
		return errors.New("a root key is the hex of 32 bytes")
	}
	switch {
	case trusted(key):
		return nil
	case whatsmeow.WACertPubKey != liveRoot:
		return errors.New("this process trusts another simulator's root key already")
	}
	copy(whatsmeow.WACertPubKey[:], key)
	return nil
}

// trusted tells whether the library trusts this root key.
func trusted(key []byte) bool { return subtle.ConstantTimeCompare(key, whatsmeow.WACertPubKey[:]) == 1 }

// checkRoot refuses an account whose other end the process does not trust, before anything is dialled.
func checkRoot(simulator *Simulator) error {
	if simulator == nil {
		if whatsmeow.WACertPubKey != liveRoot {
			return errors.New("this process trusts a simulator and cannot talk to the real WhatsApp")
		}
		return nil
	}
	key, err := hex.DecodeString(simulator.RootKey)
	if err != nil || !trusted(key) {
		return errors.New("the process does not trust this simulator's root key")
	}
	return nil
}

// setDevice names the device and sets the pace of pings, once per process, before the first client exists.
func setDevice(name string, t Timing) {
	onceDevice.Do(func() {
		store.DeviceProps.Os = proto.String(name)
		store.DeviceProps.HistorySyncConfig = leastHistory()
		store.DeviceProps.PlatformType = waCompanionReg.DeviceProps_DESKTOP.Enum()
		whatsmeow.KeepAliveIntervalMin = t.PingMin
		whatsmeow.KeepAliveIntervalMax = t.PingMax
		whatsmeow.KeepAliveResponseDeadline = t.PingAnswer
	})
}

// QuietSignal sends what the Signal library says to a log instead of standard output: warnings and errors, the rest is
// dropped. Call it before the first account is opened; only the first call counts.
func QuietSignal(log *slog.Logger) {
	onceSignal.Do(func() {
		var quiet logger.Loggable = signalLog{log}
		logger.Setup(&quiet)
	})
}

// signalLog is the Signal library's way into our log.
type signalLog struct{ log *slog.Logger }

// Debug implements logger.Loggable.
func (signalLog) Debug(_, _ string) {}

// Info implements logger.Loggable.
func (signalLog) Info(_, _ string) {}

// Warning implements logger.Loggable.
func (s signalLog) Warning(caller, message string) { s.say(caller, message) }

// Error implements logger.Loggable. What failed is told again by the library that called, so it is a warning here.
func (s signalLog) Error(caller, message string) { s.say(caller, message) }

// Configure implements logger.Loggable.
func (signalLog) Configure(string) {}

func (s signalLog) say(caller, message string) {
	s.log.Warn("signal library", "caller", caller, "line", redact(fmt.Sprint(message)))
}
