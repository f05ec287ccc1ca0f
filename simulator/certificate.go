package simulator

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/proto/waCert"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// Serial numbers of the certificates. Clients insist on 0 for the root and on the leaf naming the intermediate. Source of the
// chain: verifyServerCert of whatsmeow, which checks signatures, serials, times and the leaf's key; Baileys checks signatures and
// the root's serial.
const (
	rootSerial         = 0
	intermediateSerial = 1
	leafSerial         = 2
)

// authority is the server's identity: a root key that signs an intermediate one that signs the server's static key.
type authority struct {
	root   *keys.KeyPair
	static *keys.KeyPair // the server's Noise key
	chain  []byte        // marshalled waCert.CertChain
}

// newAuthority makes a chain under a root key. Only the root matters to clients, so the other keys are new each time.
func newAuthority(root *keys.KeyPair, now time.Time) (*authority, error) {
	intermediate, static := keys.NewKeyPair(), keys.NewKeyPair()
	middle, err := certify(root, intermediate, rootSerial, intermediateSerial, now)
	if err != nil {
		return nil, err
	}
	leaf, err := certify(intermediate, static, intermediateSerial, leafSerial, now)
	if err != nil {
		return nil, err
	}
	chain, err := proto.Marshal(&waCert.CertChain{Intermediate: middle, Leaf: leaf})
	if err != nil {
		return nil, fmt.Errorf("marshal certificate chain: %w", err)
	}
	return &authority{root: root, static: static, chain: chain}, nil
}

// spoiled returns an authority that clients refuse, or the same one for a fault that leaves certificates alone.
func (a *authority) spoiled(how string) (*authority, error) {
	switch how {
	case "wrong-root":
		return newAuthority(keys.NewKeyPair(), time.Now())
	case "expired":
		return newAuthority(a.root, time.Now().AddDate(-11, 0, 0))
	case "wrong-leaf":
		other := *a
		other.static = keys.NewKeyPair()
		return &other, nil
	default:
		return a, nil
	}
}

// certify signs a key. The signature is XEdDSA over the details as they are, without a prefix. How long a certificate lives is a
// guess.
func certify(issuer, subject *keys.KeyPair, issuerSerial, serial uint32, now time.Time) (*waCert.CertChain_NoiseCertificate, error) {
	details, err := proto.Marshal(&waCert.CertChain_NoiseCertificate_Details{
		Serial:       proto.Uint32(serial),
		IssuerSerial: proto.Uint32(issuerSerial),
		Key:          subject.Pub[:],
		NotBefore:    proto.Uint64(uint64(now.Add(-24 * time.Hour).Unix())),
		NotAfter:     proto.Uint64(uint64(now.AddDate(10, 0, 0).Unix())),
	})
	if err != nil {
		return nil, fmt.Errorf("marshal certificate: %w", err)
	}
	return &waCert.CertChain_NoiseCertificate{Details: details, Signature: sign(issuer, details)}, nil
}

// rootKey is the hex of the root's public half.
func (a *authority) rootKey() string { return hex.EncodeToString(a.root.Pub[:]) }

// parsePrivateKey reads the hex of a 32-byte private key.
func parsePrivateKey(text string) (*keys.KeyPair, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("root key must be 64 hex digits")
	}
	// Clamped as X25519 keys are, so that signatures match the public half whatever bits were given.
	raw[0] &= 248
	raw[31] = raw[31]&127 | 64
	return keys.NewKeyPairFromPrivateKey([32]byte(raw)), nil
}
