package session

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/appstate"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"google.golang.org/protobuf/proto"
)

// The steps of a pairing that settles: what a phone announces, what of it is read, and what is fetched.
const (
	stepChats      = "the first piece is announced"
	stepNames      = "names are announced"
	stepRecent     = "a piece of recent chats is announced"
	stepLast       = "the last piece of recent chats is announced"
	stepFull       = "the last piece of old chats is announced"
	stepStatus     = "status posts are announced"
	stepTooLarge   = "a first piece too large to be read is announced"
	stepRead       = "a piece is read"
	stepLost       = "a piece cannot be read"
	stepGarbled    = "something cannot be opened"
	stepState      = "the app state is fetched"
	stepMostStates = "all of the app state but the salt is fetched"
)

// take does a step, and tells whether the pairing is settled with it.
func (s *settling) take(step string) (settled bool) {
	announce := func(kind waE2E.HistorySyncType, progress uint32, bytes uint64) bool {
		offer := &waE2E.HistorySyncNotification{SyncType: kind.Enum(), Progress: proto.Uint32(progress), FileLength: proto.Uint64(bytes)}
		return s.offered(offer, worthReading(offer))
	}
	switch step {
	case stepChats: // also one that calls itself complete is not the last
		return announce(waE2E.HistorySyncType_INITIAL_BOOTSTRAP, 100, 1)
	case stepTooLarge:
		return announce(waE2E.HistorySyncType_INITIAL_BOOTSTRAP, 100, maxHistory+1)
	case stepNames:
		return announce(waE2E.HistorySyncType_PUSH_NAME, 100, 1)
	case stepStatus:
		return announce(waE2E.HistorySyncType_INITIAL_STATUS_V3, 100, 1)
	case stepRecent:
		return announce(waE2E.HistorySyncType_RECENT, 99, 1)
	case stepLast:
		return announce(waE2E.HistorySyncType_RECENT, 100, 1)
	case stepFull:
		return announce(waE2E.HistorySyncType_FULL, 100, 1)
	case stepRead:
		return s.read(nil)
	case stepGarbled:
		s.garbled()
		return false
	case stepLost:
		return s.read(errors.New("lost"))
	}
	for _, name := range appstate.AllPatchNames {
		if step == stepMostStates && name == appstate.WAPatchRegularHigh { // the salt is in there
			continue
		}
		settled = s.synced(name) || settled
	}
	return settled
}

func TestAPairingHasSettledWhenAllThatWasAnnouncedIsHere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps   []string
		settles bool // with the last step, and not before
	}{
		"all at last read":                    {[]string{stepState, stepChats, stepRead, stepNames, stepRead, stepLast, stepRead}, true},
		"all at last fetched":                 {[]string{stepChats, stepLast, stepRead, stepRead, stepState}, true},
		"pieces are read late":                {[]string{stepState, stepChats, stepNames, stepRecent, stepLast, stepRead, stepRead, stepRead, stepRead}, true},
		"only old chats end it":               {[]string{stepState, stepChats, stepRead, stepFull}, true},
		"status posts are not waited for":     {[]string{stepState, stepChats, stepRead, stepStatus, stepLast, stepRead}, true},
		"once":                                {[]string{stepState, stepChats, stepLast, stepRead, stepRead, stepLast, stepRead}, false},
		"nothing is announced":                {[]string{stepState}, false},
		"the last piece is not announced":     {[]string{stepState, stepChats, stepRead, stepNames, stepRead, stepRecent, stepRead}, false},
		"the first piece is not announced":    {[]string{stepState, stepLast, stepRead}, false},
		"the first piece is too large":        {[]string{stepState, stepTooLarge, stepLast, stepRead}, false},
		"a piece is not read":                 {[]string{stepState, stepChats, stepRecent, stepLast, stepRead, stepRead}, false},
		"a piece is lost":                     {[]string{stepState, stepChats, stepRecent, stepLast, stepRead, stepLost, stepRead}, false},
		"something is not opened":             {[]string{stepState, stepChats, stepRead, stepGarbled, stepLast, stepRead}, false},
		"no app state":                        {[]string{stepChats, stepLast, stepRead, stepRead}, false},
		"the part with the salt is not there": {[]string{stepMostStates, stepChats, stepLast, stepRead, stepRead}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, settled := settling{}, 0
			for i, step := range test.steps {
				if s.take(step) {
					settled++
					if test.settles {
						require.Equal(t, len(test.steps)-1, i, "too early, with step %d", i)
					}
				}
			}
			if name == "once" {
				require.Equal(t, 1, settled)
				return
			}
			require.Equal(t, test.settles, settled == 1)
		})
	}
}
