package simulator

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// noisePattern is the handshake both sides know: NoiseStartPattern in whatsmeow's package socket, where noisehandshake.go is the
// client's half of this file. With its four zero bytes it is exactly one hash long, so it serves
// unhashed as first hash, salt and key.
const noisePattern = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// handshake is the symmetric state of a Noise XX handshake, as the Noise specification names it, in the responder's role.
type handshake struct {
	hash    []byte
	salt    []byte
	aead    cipher.AEAD
	counter uint32
}

// newHandshake starts a handshake over the connection's prologue: the four bytes that name protocol and dictionary.
func newHandshake(prologue []byte) (*handshake, error) {
	pattern := []byte(noisePattern)
	aead, err := newAEAD(pattern)
	if err != nil {
		return nil, err
	}
	h := &handshake{hash: pattern, salt: pattern, aead: aead}
	h.mixHash(prologue)
	return h, nil
}

// mixHash binds data into everything that follows.
func (h *handshake) mixHash(data []byte) {
	sum := sha256.New()
	sum.Write(h.hash)
	sum.Write(data)
	h.hash = sum.Sum(nil)
}

// mixKey derives the next key from a shared secret.
func (h *handshake) mixKey(own *keys.KeyPair, other []byte) error {
	secret, err := sharedSecret(own, other)
	if err != nil {
		return err
	}
	salt, key, err := h.expand(secret)
	if err != nil {
		return err
	}
	h.salt, h.counter = salt, 0
	h.aead, err = newAEAD(key)
	return err
}

// expand derives two keys of 32 bytes.
func (h *handshake) expand(secret []byte) (first, second []byte, err error) {
	both, err := hkdf.Key(sha256.New, secret, h.salt, "", 64)
	if err != nil {
		return nil, nil, fmt.Errorf("derive noise keys: %w", err)
	}
	return both[:32], both[32:], nil
}

// seal encrypts a part of the handshake.
func (h *handshake) seal(plain []byte) []byte {
	sealed := h.aead.Seal(nil, nonce(h.counter), plain, h.hash)
	h.counter++
	h.mixHash(sealed)
	return sealed
}

// open decrypts a part of the handshake.
func (h *handshake) open(sealed []byte) ([]byte, error) {
	plain, err := h.aead.Open(nil, nonce(h.counter), sealed, h.hash)
	if err != nil {
		return nil, errors.New("part of the handshake does not decrypt")
	}
	h.counter++
	h.mixHash(sealed)
	return plain, nil
}

// split ends the handshake: one cipher for what the client writes, one for what the server writes.
func (h *handshake) split() (fromClient, toClient cipher.AEAD, err error) {
	first, second, err := h.expand(nil)
	if err != nil {
		return nil, nil, err
	}
	if fromClient, err = newAEAD(first); err != nil {
		return nil, nil, err
	}
	toClient, err = newAEAD(second)
	return fromClient, toClient, err
}

// nonce is eight zero bytes and the counter. Source: generateIV in whatsmeow's package socket.
func nonce(counter uint32) []byte {
	return binary.BigEndian.AppendUint32(make([]byte, 8, 12), counter)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// sharedSecret is X25519. It refuses a public key of the wrong length or of low order.
func sharedSecret(own *keys.KeyPair, other []byte) ([]byte, error) {
	private, err := ecdh.X25519().NewPrivateKey(own.Priv[:])
	if err != nil {
		return nil, err
	}
	public, err := ecdh.X25519().NewPublicKey(other)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	secret, err := private.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return secret, nil
}

// greeted is the result of a handshake.
type greeted struct {
	static    [32]byte // the client's static key
	payload   *waWa6.ClientPayload
	transport *transport
}

// respond runs the responder's half of the handshake over the frames of a connection.
func respond(prologue []byte, authority *authority, receive func() ([]byte, error), send func([]byte) error) (*greeted, error) {
	h, err := newHandshake(prologue)
	if err != nil {
		return nil, err
	}
	hello, err := receiveHandshake(receive)
	if err != nil {
		return nil, fmt.Errorf("client hello: %w", err)
	}
	ephemeral := keys.NewKeyPair()
	answer, err := h.answerHello(hello.GetClientHello(), ephemeral, authority)
	if err != nil {
		return nil, fmt.Errorf("client hello: %w", err)
	}
	if err := send(answer); err != nil {
		return nil, fmt.Errorf("send server hello: %w", err)
	}
	finish, err := receiveHandshake(receive)
	if err != nil {
		return nil, fmt.Errorf("client finish: %w", err)
	}
	result, err := h.takeFinish(finish.GetClientFinish(), ephemeral)
	if err != nil {
		return nil, fmt.Errorf("client finish: %w", err)
	}
	return result, nil
}

func receiveHandshake(receive func() ([]byte, error)) (*waWa6.HandshakeMessage, error) {
	frame, err := receive()
	if err != nil {
		return nil, err
	}
	message := new(waWa6.HandshakeMessage)
	if err := proto.Unmarshal(frame, message); err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return message, nil
}

// answerHello takes the client's ephemeral key and proves who the server is.
func (h *handshake) answerHello(hello *waWa6.HandshakeMessage_ClientHello, ephemeral *keys.KeyPair, authority *authority) ([]byte, error) {
	client := hello.GetEphemeral()
	if len(client) != 32 {
		return nil, fmt.Errorf("ephemeral key of %d bytes", len(client))
	}
	h.mixHash(client)
	h.mixHash(ephemeral.Pub[:])
	if err := h.mixKey(ephemeral, client); err != nil {
		return nil, err
	}
	static := h.seal(authority.static.Pub[:])
	if err := h.mixKey(authority.static, client); err != nil {
		return nil, err
	}
	return proto.Marshal(&waWa6.HandshakeMessage{ServerHello: &waWa6.HandshakeMessage_ServerHello{
		Ephemeral: ephemeral.Pub[:],
		Static:    static,
		Payload:   h.seal(authority.chain),
	}})
}

// takeFinish learns who the client is and what it wants.
func (h *handshake) takeFinish(finish *waWa6.HandshakeMessage_ClientFinish, ephemeral *keys.KeyPair) (*greeted, error) {
	static, err := h.open(finish.GetStatic())
	if err != nil {
		return nil, fmt.Errorf("static key: %w", err)
	}
	if len(static) != 32 {
		return nil, fmt.Errorf("static key of %d bytes", len(static))
	}
	if err := h.mixKey(ephemeral, static); err != nil {
		return nil, err
	}
	plain, err := h.open(finish.GetPayload())
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	payload := new(waWa6.ClientPayload)
	if err := proto.Unmarshal(plain, payload); err != nil {
		return nil, fmt.Errorf("parse payload: %w", err)
	}
	fromClient, toClient, err := h.split()
	if err != nil {
		return nil, err
	}
	return &greeted{static: [32]byte(static), payload: payload, transport: &transport{read: fromClient, write: toClient}}, nil
}

// transport encrypts frames after the handshake. Reading and writing may run at the same time, each in one goroutine.
type transport struct {
	read, write     cipher.AEAD
	readAt, writeAt uint32
}

// open decrypts the next frame of the client.
func (t *transport) open(frame []byte) ([]byte, error) {
	plain, err := t.read.Open(nil, nonce(t.readAt), frame, nil)
	if err != nil {
		return nil, errors.New("frame does not decrypt")
	}
	t.readAt++
	return plain, nil
}

// seal encrypts the next frame for the client.
func (t *transport) seal(plain []byte) []byte {
	sealed := t.write.Seal(nil, nonce(t.writeAt), plain, nil)
	t.writeAt++
	return sealed
}
