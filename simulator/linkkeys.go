package simulator

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"go.mau.fi/whatsmeow/util/keys"
)

// linkAlphabet is what a code is written in that a person types: base 32 without what looks alike. This and the layouts in
// this file are those of whatsmeow's pair-code.go.
const linkAlphabet = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"

// linkRounds is how often PBKDF2 stirs a code: 131,072 times.
const linkRounds = 2 << 16

// linkAttempt is a code that was typed on the phone.
type linkAttempt struct {
	own     *keys.KeyPair // the phone's ephemeral key
	client  []byte        // the client's, as the typed code opens it
	wrapped []byte        // the phone's under the code
	refused chan error    // holds one: why the phone gave up
}

// open makes an attempt with a typed code. Any code opens the client's key to something; whether it was the right one shows
// when the client answers.
func (r *linkRequest) open(code string) (*linkAttempt, error) {
	attempt := &linkAttempt{own: keys.NewKeyPair(), refused: make(chan error, 1)}
	var err error
	if attempt.client, err = linkCipher(code, r.wrapped[:32], r.wrapped[32:48], r.wrapped[48:]); err != nil {
		return nil, err
	}
	salt, iv := randomBytes(32), randomBytes(16)
	sealed, err := linkCipher(code, salt, iv, attempt.own.Pub[:])
	if err != nil {
		return nil, err
	}
	attempt.wrapped = slices.Concat(salt, iv, sealed)
	return attempt, nil
}

// linkCipher encrypts or decrypts a key with a code: AES in counter mode.
func linkCipher(code string, salt, iv, data []byte) ([]byte, error) {
	key, err := pbkdf2.Key(sha256.New, code, salt, linkRounds, 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of the code: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	out := make([]byte, len(data))
	cipher.NewCTR(block, iv).XORKeyStream(out, data)
	return out, nil
}

// secret opens the client's key bundle and returns the secret that authenticates the device identity.
func (r *linkRequest) secret(attempt *linkAttempt, identity [32]byte, bundle []byte) (secret [32]byte, err error) {
	const salt, nonce = 32, 44 // where they end
	wrong := errors.New("the code is wrong")
	if len(bundle) < nonce {
		return secret, fmt.Errorf("key bundle of %d bytes", len(bundle))
	}
	shared, err := sharedSecret(attempt.own, attempt.client)
	if err != nil {
		return secret, wrong // the code opened the key to a point of low order
	}
	key, err := hkdf.Key(sha256.New, shared, bundle[:salt], "link_code_pairing_key_bundle_encryption_key", 32)
	if err != nil {
		return secret, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return secret, err
	}
	plain, err := aead.Open(nil, bundle[salt:nonce], bundle[nonce:], nil)
	if err != nil {
		return secret, wrong
	}
	if len(plain) != 96 || [32]byte(plain) != identity || [32]byte(plain[32:]) != *r.account.key().Pub {
		return secret, errors.New("the key bundle holds other keys than those that were shown")
	}
	identities, err := sharedSecret(r.account.key(), identity[:])
	if err != nil {
		return secret, err
	}
	derived, err := hkdf.Key(sha256.New, slices.Concat(shared, identities, plain[64:]), nil, "adv_secret", 32)
	return [32]byte(derived), err
}
