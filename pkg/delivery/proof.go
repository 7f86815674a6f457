package delivery

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// MinKeyLength is how many bytes a key must have: the signature of a shorter one can
// be guessed from one captured delivery.
const MinKeyLength = 16

// MaxAge is how old a signature may be that covers its time, and how far in the future
// (https://www.standardwebhooks.com asks for a tolerance, its libraries use this one).
const MaxAge = 5 * time.Minute

// Why a delivery is not proved to be authentic.
var (
	ErrNoKey     = errors.New("no key of at least 16 bytes to verify with")
	ErrSignature = errors.New("the signature is missing or wrong")
	// ErrStale is an ErrSignature that was right at another time.
	ErrStale = fmt.Errorf("%w: it is more than %v old or from the future; compare the clocks", ErrSignature, MaxAge)
)

// Keys are the keys of a Secret's data that may prove deliveries: the one of that name,
// and those whose names start with it and a dash, while they are being rotated; in the
// order of their names, without the line end that `echo … | base64` leaves. See UsableKeys.
func Keys(data map[string][]byte, name string) [][]byte {
	var keys [][]byte
	for _, k := range slices.Sorted(maps.Keys(data)) {
		if k == name || strings.HasPrefix(k, name+"-") {
			keys = append(keys, bytes.TrimRight(data[k], "\r\n"))
		}
	}
	return keys
}

// UsableKeys keeps the keys that are long enough.
func UsableKeys(keys [][]byte) [][]byte {
	var out [][]byte
	for _, k := range keys {
		if len(k) >= MinKeyLength {
			out = append(out, k)
		}
	}
	return out
}

// VerifyHMAC compares a hex HMAC-SHA-256 of body with every key, all of them always,
// so that time tells nothing.
func VerifyHMAC(keys [][]byte, signature string, body []byte) error {
	keys = UsableKeys(keys)
	if len(keys) == 0 {
		return ErrNoKey
	}
	got, err := hex.DecodeString(signature)
	if err != nil || len(got) != sha256.Size {
		got = nil // compared all the same: equal to no sum
	}
	ok := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		if hmac.Equal(mac.Sum(nil), got) {
			ok = true
		}
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// VerifyHeader is VerifyHMAC of the signature in a header, written sha256=<hex>.
func VerifyHeader(keys [][]byte, header http.Header, name string, body []byte) error {
	signature, ok := strings.CutPrefix(Header(header, name), "sha256=")
	if !ok {
		signature = ""
	}
	return VerifyHMAC(keys, signature, body)
}

// VerifyToken compares a token that a sender repeats with every key. What is compared is
// hashed, so that it takes as long whatever the lengths are. "" is no token.
func VerifyToken(keys [][]byte, token string) error {
	keys = UsableKeys(keys)
	if len(keys) == 0 {
		return ErrNoKey
	}
	got, ok := sha256.Sum256([]byte(token)), false
	for _, key := range keys {
		want := sha256.Sum256(key)
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			ok = true
		}
	}
	if !ok || token == "" {
		return ErrSignature
	}
	return nil
}

// Header gives the only value of a header, else "": a second one is somebody's
// attempt to have two readers read different ones.
func Header(h http.Header, name string) string {
	v := h.Values(name)
	if len(v) != 1 {
		return ""
	}
	return v[0]
}

// ID is the sender's id of a delivery when it is a plain token, else one made from the
// body, so that it is never empty and never odd.
func ID(id string, body []byte) string {
	plain := len(id) >= 8 && len(id) <= 128
	for _, c := range []byte(id) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.", c) >= 0)
	}
	if plain {
		return id
	}
	sum := sha256.Sum256(body)
	return "body-" + hex.EncodeToString(sum[:16])
}
