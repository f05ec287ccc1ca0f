package simulator

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// dice chooses the faults of a hostile server: traffic that stays valid, on a network that is bad. A client that is
// written with care gets every message through.
//
// Each operation has dice of its own: the same seed does the same to the first message, the second, and so on, and to the
// first request. How they fall together depends on how client and server interleave.
type dice struct {
	seed  uint64
	rolls map[string]*rand.Rand // by operation
	level float64               // 0 to 1
	bag   map[string][]mischief
}

// newDice returns the dice of a level from 1 to 100, nil for a level of 0.
func newDice(level int, seed uint64) *dice {
	if level <= 0 {
		return nil
	}
	return &dice{seed: seed, rolls: map[string]*rand.Rand{}, level: float64(min(level, 100)) / 100, bag: mischiefs()}
}

// newSeed returns a seed that is short enough to be typed.
func newSeed() uint64 { return uint64(binary.BigEndian.Uint32(randomBytes(4))) + 1 }

// of returns the dice of an operation.
func (d *dice) of(at string) *rand.Rand {
	random := d.rolls[at]
	if random == nil {
		name := fnv.New64a()
		_, _ = name.Write([]byte(at)) // never fails
		random = rand.New(rand.NewPCG(d.seed, name.Sum64()))
		d.rolls[at] = random
	}
	return random
}

// mischief is a fault the dice can choose: how likely it is at level 100, and the longest delay it may have.
type mischief struct {
	do     string
	chance float64
	delay  time.Duration
	code   int
}

// mischiefs lists, for each operation, what a hostile server does. All of it is within what the real server and the networks
// before it do: a connection is refused, cut, or falls silent; a server in trouble says so, and once in a while never
// answers; what was sent comes late, or twice. On a connection that goes on no message and no receipt for the client is lost,
// and no two messages of one author change places: the real server is believed to keep both promises. So a message is never
// left out, and nobody asks for one again: the copy that is then sent would come behind later ones. Both are faults to be
// added by name.
func mischiefs() map[string][]mischief {
	const moment = 100 * time.Millisecond
	const soon = 3 * time.Second
	return map[string][]mischief{
		"connect": {
			{do: doDelay, chance: 0.5, delay: moment}, {do: doError, chance: 0.15, code: 503}, {do: doDrop, chance: 0.05},
			{do: doReset, chance: 0.05},
		},
		"handshake": {{do: doDelay, chance: 0.3, delay: moment}, {do: doDrop, chance: 0.05}},
		"login": {
			{do: doDelay, chance: 0.4, delay: moment}, {do: doDrop, chance: 0.1}, {do: doReset, chance: 0.05},
			{do: "failure", chance: 0.05, code: 503}, {do: "failure", chance: 0.05, code: 500},
		},
		"paired": {{do: KickDrop, chance: 0.2}, {do: KickReset, chance: 0.1}, {do: KickClose, chance: 0.1}},
		"online": {
			{do: KickDrop, chance: 0.25, delay: soon}, {do: KickReset, chance: 0.2, delay: soon}, {do: KickClose, chance: 0.1, delay: soon},
			{do: "stream-error", chance: 0.2, delay: soon, code: 503}, {do: "stream-error", chance: 0.1, delay: soon, code: 515},
			{do: KickDeaf, chance: 0.03, delay: soon}, {do: KickStuck, chance: 0.03, delay: soon},
		},
		"message": {
			{do: doDelay, chance: 0.25, delay: moment}, {do: "late-ack", chance: 0.25, delay: moment}, {do: "ack-twice", chance: 0.1},
			{do: doDrop, chance: 0.05}, {do: doDropAfter, chance: 0.05}, {do: doError, chance: 0.02, code: 503},
			{do: "other-hash", chance: 0.02}, {do: "no-ack", chance: 0.003}, {do: doSilence, chance: 0.002},
		},
		"iq": {
			{do: doDelay, chance: 0.4, delay: moment}, {do: doDrop, chance: 0.03}, {do: doDropAfter, chance: 0.02},
			{do: doError, chance: 0.02, code: 503}, {do: doSilence, chance: 0.005},
		},
		"receipt":  {{do: doDelay, chance: 0.4, delay: 2 * moment}, {do: doTwice, chance: 0.3}},
		"deliver":  {{do: doTwice, chance: 0.3}},
		"frame":    {{do: doDelay, chance: 0.2, delay: moment / 5}, {do: "half", chance: 0.002}},
		"upload":   {{do: doDelay, chance: 0.3, delay: moment}, {do: doError, chance: 0.05, code: 503}, {do: doDrop, chance: 0.05}},
		"download": {{do: doDelay, chance: 0.3, delay: moment}, {do: doError, chance: 0.1, code: 503}, {do: "half", chance: 0.05}},
	}
}

// roll chooses a fault for an operation, or none. Call with the faults' lock held.
func (d *dice) roll(at string) (Fault, bool) {
	operation := at
	if strings.HasPrefix(at, "iq:") {
		operation = "iq"
	}
	options := d.bag[operation]
	if len(options) == 0 {
		return Fault{}, false
	}
	random := d.of(operation)
	chosen := random.Float64()
	for _, m := range options {
		chosen -= m.chance * d.level
		if chosen < 0 {
			f := Fault{At: at, Do: m.do, Code: m.code}
			if m.delay > 0 {
				f.Delay = Duration(random.Int64N(int64(m.delay)))
			}
			return f, true
		}
	}
	return Fault{}, false
}
