package simulator

import (
	"go.mau.fi/libsignal/state/record"
)

// keepOtherStates returns a session with the states other than its present one as they were before. Two sides that begin
// a session at the same moment keep a state for each beginning, and a message is tried on one after the other. The Go
// libsignal moves the ratchet of every state it tries, also of those the message is not for, and leaves the one it found
// in its old place too; the apps' own library tries on copies. What is not repaired here can never be read again.
func keepOtherStates(serializer record.SessionSerializer, before, after []byte) ([]byte, error) {
	old, err := serializer.Deserialize(before)
	if err != nil {
		return nil, err
	}
	if len(old.PreviousStates) == 0 {
		return after, nil // a message was tried on one state only
	}
	session, err := serializer.Deserialize(after)
	if err != nil {
		return nil, err
	}
	known := map[string]*record.StateStructure{}
	for _, state := range append(old.PreviousStates, old.SessionState) {
		known[string(state.SenderBaseKey)] = state
	}
	present := string(session.SessionState.SenderBaseKey)
	there := map[string]bool{present: true}
	var previous []*record.StateStructure
	for _, state := range session.PreviousStates {
		base := string(state.SenderBaseKey)
		if there[base] {
			continue
		}
		there[base] = true
		if as, ok := known[base]; ok {
			state = as
		}
		previous = append(previous, state)
	}
	session.PreviousStates = previous
	return serializer.Serialize(session), nil
}
