package session

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"

	"go.mau.fi/libsignal/logger"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/store"
	"google.golang.org/protobuf/proto"
)

// SetUp sets what the protocol library keeps for the whole process: call it once, before the first account is opened.
//
// The name is what the phone shows in its list of linked devices. The root key is hex of 32 bytes, the key that a simulator's
// certificates must lead to; it is empty for WhatsApp itself, whose key is then left as the library pins it.
func SetUp(log *slog.Logger, deviceName, simulatorRootKey string) error {
	quiet := logger.Loggable(signalLog{log})
	logger.Setup(&quiet) // the library would print to standard output
	store.DeviceProps.Os = proto.String(deviceName)
	store.DeviceProps.PlatformType = waCompanionReg.DeviceProps_DESKTOP.Enum()
	if simulatorRootKey == "" {
		return nil
	}
	key, err := hex.DecodeString(simulatorRootKey)
	if err != nil || len(key) != len(whatsmeow.WACertPubKey) {
		return fmt.Errorf("the simulator's root key must be %d bytes in hex", len(whatsmeow.WACertPubKey))
	}
	copy(whatsmeow.WACertPubKey[:], key)
	return nil
}

// signalLog takes what the Signal library says. Its errors come back as errors as well, so that they are told there.
type signalLog struct{ log *slog.Logger }

func (l signalLog) Debug(string, string) {}
func (l signalLog) Info(string, string)  {}
func (l signalLog) Warning(caller, message string) {
	l.log.LogAttrs(context.Background(), slog.LevelDebug, "signal library", slog.String("caller", caller), slog.String("says", redact(message)))
}
func (l signalLog) Error(caller, message string) { l.Warning(caller, message) }
func (l signalLog) Configure(string)             {}
