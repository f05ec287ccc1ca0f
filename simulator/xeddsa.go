package simulator

import (
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/util/keys"
)

// XEdDSA signs with the keys that Signal otherwise uses for key agreement: certificates, device identities and signed prekeys are
// signed so. Source: package ecc of libsignal, and "The XEdDSA and VXEdDSA Signature Schemes" by Signal.

// sign makes an XEdDSA signature.
func sign(key *keys.KeyPair, message []byte) []byte {
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*key.Priv), message)
	return signature[:]
}

// signedBy checks an XEdDSA signature; a key or signature of the wrong length is a wrong one.
func signedBy(public, message, signature []byte) bool {
	if len(public) != 32 || len(signature) != 64 {
		return false
	}
	return ecc.VerifySignature(ecc.NewDjbECPublicKey([32]byte(public)), message, [64]byte(signature))
}
