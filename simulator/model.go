package simulator

import (
	"time"

	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
)

// Lock order: Server.mu before signalDevice's own lock before the counters' lock. A conn's write queue takes no other
// lock, so conn.send may be called under any of them.

// account is a WhatsApp account: a number with its phone (device 0) and the clients linked to it. Every account can be a
// contact of every other. All fields are guarded by Server.mu unless said otherwise.
type account struct {
	number     string // digits
	lid        string // digits, derived from the number so that it is stable
	name       string
	about      string
	registered bool // false: the number is in the directory, but not on WhatsApp

	identity   *keys.KeyPair      // the account key; it is also device 0's Signal identity. Made at first use, by key
	devices    map[uint16]*device // 0 is the phone
	nextDevice uint16             // device numbers grow and are never reused
	keyIndex   uint32             // of the last linked device

	behaviour   Behaviour // what its virtual devices do with messages
	identities  string    // by which addresses it is known: both when empty, numberOnly or lidOnly
	aliases     []string
	limits      Limits
	sync        Sync
	appState    *appState         // nil until somebody needs it
	passkey     bool              // clients must prove a passkey to be linked
	chats       map[string]chat   // by the other's number
	tokens      map[string][]byte // privacy tokens it gave, by the other's number
	online      bool              // its phone is being used
	lastSeen    time.Time         // when it last was, zero for never
	preKeysLeft *int              // one-time keys its virtual devices have left, nil for enough
	away        bool              // its virtual devices have no network
	held        []heldArrival     // what came for them meanwhile
	read        int               // messages of clients since it had its phone
}

// device is one end of Signal sessions: the virtual phone, or a client that linked itself.
type device struct {
	account *account
	id      uint16

	signal *signalDevice // virtual devices only: keys, sessions, inbox; has its own lock

	// Linked clients only.
	noiseKey       [32]byte // the static key seen at pairing; a login with another is refused
	identityKey    [32]byte
	keyIndex       uint32
	identitySigned []byte // marshalled ADVSignedDeviceIdentity, with the account's signature key put back
	linkedAt       time.Time
	prekeys        prekeys // what the client uploaded

	synced   bool       // the phone has sent it what it sends once
	waiting  []*waiting // stanzas for the client, in order, until it acknowledged them
	inFlight int        // how many of them, from the first on, were sent on the present connection
	conn     *conn      // the connection it is logged in on, nil while away
	version  string     // of the protocol, as it announced at its last login

	available bool                  // it says its user is there
	watching  map[*account]struct{} // whose presence it wants to hear of

	byNumber bool                // it wants to be addressed by phone number, as it said at its last login; else by LID
	sentIDs  map[string]struct{} // of the messages it sent
}

// jid returns the device's phone-number address.
func (d *device) jid() types.JID {
	return types.JID{User: d.account.number, Device: d.id, Server: types.DefaultUserServer}
}

// lidJID returns the device's LID address, by which all Signal sessions are keyed.
func (d *device) lidJID() types.JID {
	return types.JID{User: d.account.lid, Device: d.id, Server: types.HiddenUserServer}
}

// waiting is a stanza kept for a client until it acknowledged it.
type waiting struct {
	key  string // what its acknowledgement names: class, id and peer
	node waBinary.Node
}

// prekeys is what a linked client uploaded for others to start sessions with it.
type prekeys struct {
	registrationID uint32
	signed         preKey
	signature      [64]byte
	oneTime        []preKey // first in, first out; each is handed out once
}

// preKey is a numbered public key.
type preKey struct {
	id     uint32
	public [32]byte
}

// linked says whether the device is a client that paired, not a virtual one.
func (d *device) linked() bool { return d.identitySigned != nil }
