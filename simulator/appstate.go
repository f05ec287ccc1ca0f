package simulator

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mau.fi/whatsmeow/proto/waServerSync"
	"go.mau.fi/whatsmeow/proto/waSyncAction"
	"google.golang.org/protobuf/proto"
)

// appState is what an account keeps in common with its clients: its name, the names of contacts, settings of chats. It is
// encrypted with a key that the phone shares with every client it links, and kept by the server as lists of patches.
// Source of all layouts: the package appstate of whatsmeow. Guarded by Server.mu.
type appState struct {
	keyID, key  []byte
	salt        []byte // for privacy tokens that are derived and not given: the NCT salt
	collections map[string]*collection
}

// collection is one list of patches. Its version is their number.
type collection struct {
	patches [][]byte
	hash    [128]byte         // over the value MACs of all that is set
	values  map[string][]byte // value MAC by index MAC
}

// The collections the phone writes to. Source: WAPatchName in whatsmeow's package appstate.
const (
	collectionSettings = "critical_block"
	collectionContacts = "critical_unblock_low"
	collectionHigh     = "regular_high"
)

func newAppState() *appState {
	return &appState{keyID: slices.Concat([]byte{0, 0}, randomBytes(4)), key: randomBytes(32), salt: randomBytes(32)}
}

// state returns the account's app state, made at first use. Call with Server.mu held.
func (a *account) state() *appState {
	if a.appState == nil {
		a.appState = newAppState()
	}
	return a.appState
}

// collection returns a list of patches, empty when nothing was ever set there.
func (st *appState) collection(name string) *collection {
	if st.collections == nil {
		st.collections = map[string]*collection{}
	}
	c := st.collections[name]
	if c == nil {
		c = &collection{values: map[string][]byte{}}
		st.collections[name] = c
	}
	return c
}

// setting is one thing in an app state: what it is about, and its value.
type setting struct {
	index   []string
	version int32 // of its layout
	value   *waSyncAction.SyncActionValue
}

// set writes settings into a collection, as one patch.
func (st *appState) set(name string, settings ...setting) error {
	keys, err := st.keys()
	if err != nil {
		return err
	}
	patch := &waServerSync.SyncdPatch{KeyID: &waServerSync.KeyId{ID: st.keyID}}
	for _, one := range settings {
		mutation, err := keys.seal(st.keyID, one)
		if err != nil {
			return fmt.Errorf("encrypt app state: %w", err)
		}
		patch.Mutations = append(patch.Mutations, mutation)
	}
	c := st.collection(name)
	hash, version := c.after(patch), uint64(len(c.patches)+1)
	patch.SnapshotMAC = keys.snapshotMAC(hash, version, name)
	patch.PatchMAC = keys.patchMAC(patch, version, name)
	return c.add(patch)
}

// take adds a patch that a client made, after checking it with the key.
func (st *appState) take(name string, encoded []byte) error {
	var patch waServerSync.SyncdPatch
	if err := proto.Unmarshal(encoded, &patch); err != nil {
		return fmt.Errorf("parse patch: %w", err)
	}
	for _, m := range patch.GetMutations() {
		if len(m.GetRecord().GetValue().GetBlob()) < sha256.Size || len(m.GetRecord().GetIndex().GetBlob()) != sha256.Size {
			return errors.New("a mutation without its MACs")
		}
	}
	keys, err := st.keys()
	if err != nil {
		return err
	}
	c := st.collection(name)
	version := uint64(len(c.patches) + 1)
	switch {
	case !bytes.Equal(patch.GetKeyID().GetID(), st.keyID):
		return errors.New("a key that the phone has not shared")
	case !hmac.Equal(patch.GetSnapshotMAC(), keys.snapshotMAC(c.after(&patch), version, name)):
		return errors.New("wrong snapshot MAC")
	case !hmac.Equal(patch.GetPatchMAC(), keys.patchMAC(&patch, version, name)):
		return errors.New("wrong patch MAC")
	}
	return c.add(&patch)
}

// add appends a patch.
func (c *collection) add(patch *waServerSync.SyncdPatch) error {
	patch.Version = &waServerSync.SyncdVersion{Version: proto.Uint64(uint64(len(c.patches) + 1))}
	encoded, err := proto.Marshal(patch)
	if err != nil {
		return fmt.Errorf("marshal patch: %w", err)
	}
	c.hash = c.after(patch)
	for _, m := range patch.GetMutations() {
		index := string(m.GetRecord().GetIndex().GetBlob())
		if m.GetOperation() == waServerSync.SyncdMutation_REMOVE {
			delete(c.values, index)
		} else {
			c.values[index] = valueMAC(m)
		}
	}
	c.patches = append(c.patches, encoded)
	return nil
}

// after returns the hash that a patch leads to: what is set is added and what was there before is taken off, in 64 sums.
func (c *collection) after(patch *waServerSync.SyncdPatch) [128]byte {
	hash, within := c.hash, map[string][]byte{}
	for _, m := range patch.GetMutations() {
		index := string(m.GetRecord().GetIndex().GetBlob())
		before, changed := within[index]
		if !changed {
			before = c.values[index]
		}
		if before != nil {
			addToHash(&hash, before, -1)
		}
		within[index] = nil
		if m.GetOperation() == waServerSync.SyncdMutation_SET {
			within[index] = valueMAC(m)
			addToHash(&hash, within[index], 1)
		}
	}
	return hash
}

// addToHash adds or takes off a value MAC, stretched to the length of the hash, in words of two bytes.
func addToHash(hash *[128]byte, mac []byte, sign int) {
	long, _ := hkdf.Key(sha256.New, mac, nil, "WhatsApp Patch Integrity", len(hash)) // fails for longer output only
	for i := 0; i < len(hash); i += 2 {
		sum := int(binary.LittleEndian.Uint16(hash[i:])) + sign*int(binary.LittleEndian.Uint16(long[i:]))
		binary.LittleEndian.PutUint16(hash[i:], uint16(sum))
	}
}

// valueMAC is what stands behind the ciphertext of a mutation.
func valueMAC(m *waServerSync.SyncdMutation) []byte {
	blob := m.GetRecord().GetValue().GetBlob()
	return blob[len(blob)-sha256.Size:]
}

// stateKeys are derived from the shared key.
type stateKeys struct{ index, encryption, value, snapshot, patch []byte }

func (st *appState) keys() (stateKeys, error) {
	all, err := hkdf.Key(sha256.New, st.key, nil, "WhatsApp Mutation Keys", 160)
	if err != nil {
		return stateKeys{}, err
	}
	return stateKeys{all[:32], all[32:64], all[64:96], all[96:128], all[128:]}, nil
}

// seal encrypts a setting.
func (k stateKeys) seal(keyID []byte, one setting) (*waServerSync.SyncdMutation, error) {
	index, err := json.Marshal(one.index)
	if err != nil {
		return nil, err
	}
	one.value.Timestamp = proto.Int64(time.Now().UnixMilli())
	plain, err := proto.Marshal(&waSyncAction.SyncActionData{
		Index: index, Value: one.value, Padding: []byte{}, Version: proto.Int32(one.version),
	})
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(k.encryption)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	plain = append(plain, bytes.Repeat([]byte{byte(padding)}, padding)...)
	sealed := append(randomBytes(aes.BlockSize), plain...)
	cipher.NewCBCEncrypter(block, sealed[:aes.BlockSize]).CryptBlocks(sealed[aes.BlockSize:], plain)
	mac := hmac.New(sha512.New, k.value)
	for _, part := range [][]byte{{byte(waServerSync.SyncdMutation_SET) + 1}, keyID, sealed, eightBytes(uint64(len(keyID) + 1))} {
		mac.Write(part)
	}
	return &waServerSync.SyncdMutation{
		Operation: waServerSync.SyncdMutation_SET.Enum(),
		Record: &waServerSync.SyncdRecord{
			Index: &waServerSync.SyncdIndex{Blob: macOver(k.index, index)},
			Value: &waServerSync.SyncdValue{Blob: append(sealed, mac.Sum(nil)[:sha256.Size]...)},
			KeyID: &waServerSync.KeyId{ID: keyID},
		},
	}, nil
}

func (k stateKeys) snapshotMAC(hash [128]byte, version uint64, name string) []byte {
	return macOver(k.snapshot, hash[:], eightBytes(version), []byte(name))
}

func (k stateKeys) patchMAC(patch *waServerSync.SyncdPatch, version uint64, name string) []byte {
	parts := [][]byte{patch.GetSnapshotMAC()}
	for _, m := range patch.GetMutations() {
		parts = append(parts, valueMAC(m))
	}
	return macOver(k.patch, append(parts, eightBytes(version), []byte(name))...)
}

func macOver(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

func eightBytes(value uint64) []byte { return binary.BigEndian.AppendUint64(nil, value) }
