package simulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mau.fi/whatsmeow/types"
)

// The relying party of WhatsApp's passkeys and the page they are proved on: both a guess, which clients pass on as it is.
const (
	passkeyParty  = "whatsapp.com"
	passkeyOrigin = "https://web.whatsapp.com"
)

// userPresentAndVerified are the flags an authenticator sets after its owner has touched and unlocked it.
const userPresentAndVerified = 0x05

// authenticator holds an account's passkey, as its owner's phone or security key does. It follows from the account key, so
// that it needs no place of its own in the state file.
type authenticator struct {
	key        *ecdsa.PrivateKey
	credential []byte
}

// authenticator returns the account's passkey. Call with Server.mu held.
func (a *account) authenticator() (*authenticator, error) {
	scalar, err := hkdf.Key(sha256.New, a.key().Priv[:], nil, "simulated passkey", 32)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		return nil, fmt.Errorf("make passkey: %w", err)
	}
	return &authenticator{key: key, credential: scalarID(scalar)}, nil
}

// scalarID names a key without telling it.
func scalarID(scalar []byte) []byte {
	sum := sha256.Sum256(slices.Concat([]byte("credential id "), scalar))
	return sum[:16]
}

// request asks for a proof of the passkey.
func (k *authenticator) request(life time.Duration) types.WebAuthnPublicKey {
	return types.WebAuthnPublicKey{
		Challenge: randomBytes(32), Timeout: int(life.Milliseconds()), RelyingPartID: passkeyParty, UserVerification: "required",
		AllowCredentials: []types.AllowedCredential{{ID: k.credential, Type: "public-key", Transports: []string{"internal", "hybrid"}}},
	}
}

// clientData is what a browser signs along: which question was answered, and on which page.
type clientData struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	Origin    string `json:"origin"`
}

// ProvePasskey answers a client's passkey request as the owner of the account does, with the authenticator that knows the
// account's passkey. It fails for a request that does not ask for this passkey.
func (s *Server) ProvePasskey(number string, request types.WebAuthnPublicKey) (types.WebAuthnResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.directory.registeredAccount(number)
	if err != nil {
		return types.WebAuthnResponse{}, fmt.Errorf("prove passkey: %w", err)
	}
	key, err := a.authenticator()
	if err != nil {
		return types.WebAuthnResponse{}, err
	}
	asked := slices.ContainsFunc(request.AllowCredentials, func(c types.AllowedCredential) bool {
		return slices.Equal(c.ID, key.credential)
	})
	if !asked || request.RelyingPartID != passkeyParty {
		return types.WebAuthnResponse{}, errors.New("prove passkey: the request does not ask for this account's passkey")
	}
	return key.answer(request)
}

// answer signs a request.
func (k *authenticator) answer(request types.WebAuthnPublicKey) (types.WebAuthnResponse, error) {
	party := sha256.Sum256([]byte(passkeyParty))
	data := binary.BigEndian.AppendUint32(append(party[:], userPresentAndVerified), 1)
	page, err := json.Marshal(clientData{
		Type: "webauthn.get", Challenge: base64.RawURLEncoding.EncodeToString(request.Challenge), Origin: passkeyOrigin,
	})
	if err != nil {
		return types.WebAuthnResponse{}, err
	}
	signature, err := ecdsa.SignASN1(nil, k.key, signedData(data, page))
	if err != nil {
		return types.WebAuthnResponse{}, fmt.Errorf("sign with passkey: %w", err)
	}
	return types.WebAuthnResponse{
		ID: base64.RawURLEncoding.EncodeToString(k.credential), RawID: k.credential, Type: "public-key",
		Response: types.WebAuthnResponseData{ClientDataJSON: page, AuthenticatorData: data, Signature: signature},
	}, nil
}

// signedData is the hash a passkey signs. Source: WebAuthn level 2, section 6.3.3.
func signedData(authenticatorData, page []byte) []byte {
	pageHash := sha256.Sum256(page)
	sum := sha256.Sum256(slices.Concat(authenticatorData, pageHash[:]))
	return sum[:]
}

// check verifies an answer to a request. Source: WebAuthn level 2, section 7.2.
func (k *authenticator) check(assertion, credential []byte, request types.WebAuthnPublicKey) error {
	var answer types.WebAuthnResponse
	if err := json.Unmarshal(assertion, &answer); err != nil {
		return fmt.Errorf("parse passkey answer: %w", err)
	}
	var page clientData
	if err := json.Unmarshal(answer.Response.ClientDataJSON, &page); err != nil {
		return fmt.Errorf("parse the client data of the passkey answer: %w", err)
	}
	party := sha256.Sum256([]byte(passkeyParty))
	data := answer.Response.AuthenticatorData
	switch {
	case !slices.Equal(credential, k.credential) || !slices.Equal(answer.RawID, k.credential):
		return errors.New("another passkey")
	case page.Type != "webauthn.get" || page.Challenge != base64.RawURLEncoding.EncodeToString(request.Challenge):
		return errors.New("an answer to another challenge")
	case page.Origin != passkeyOrigin:
		return errors.New("an answer given on another page")
	case len(data) < 37 || [32]byte(data) != party || data[32]&userPresentAndVerified != userPresentAndVerified:
		return errors.New("an answer for another party, or without its owner's consent")
	case !ecdsa.VerifyASN1(&k.key.PublicKey, signedData(data, answer.Response.ClientDataJSON), answer.Response.Signature):
		return errors.New("a wrong signature")
	}
	return nil
}
