package local

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/buildlocal/buildlocal/internal/regular"
)

// keySize is the length of the user's key, in characters.
const keySize = 26

// key returns a function that makes keyed hashes, by which secrets and files of builds are compared.
// The key is the user's: records that are shared disclose nothing to others. It is nil without a
// state directory.
func (h *Host) key() func(string) string {
	name, err := h.StateFile("key")
	if err != nil {
		return nil
	}
	secret, err := regular.Read(name, keySize)
	if err != nil {
		secret = createKey(name)
	}
	if len(secret) != keySize {
		return nil // another build is writing it
	}
	return func(text string) string {
		sum := hmac.New(sha256.New, secret)
		sum.Write([]byte(text))
		const half = sha256.Size / 2 // enough to tell values apart
		return hex.EncodeToString(sum.Sum(nil)[:half])
	}
}

// createKey stores a new key, unless another build stores one at the same time.
func createKey(name string) []byte {
	const mine, mineToo = 0o700, 0o600
	if os.MkdirAll(filepath.Dir(name), mine) != nil {
		return nil
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mineToo)
	if err != nil {
		return nil
	}
	secret := []byte(rand.Text())[:keySize]
	_, err = file.Write(secret)
	if file.Close() != nil || err != nil {
		return nil
	}
	return secret
}

// keyed returns the keyed hash of a text, or "" without a key.
func (s *Session) keyed(text string) string {
	if key := s.key(); key != nil {
		return key(text)
	}
	return ""
}
