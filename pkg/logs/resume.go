package logs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
)

// resume passes a log on to w from the byte on that its reader has not got, once the
// bytes before it are known to be those that the reader has.
//
//	log  ├──── hashed, not sent ────┤ compare ├──── passed on ────▶
//	     0                        from
//
// Whoever reads a log over several connections loses no byte and gets none twice. A log
// that was cut and went on otherwise in between is said to be another one.
type resume struct {
	w    io.Writer
	from int64  // bytes that the reader has
	sum  string // their SHA-256, in hex; "" when the reader does not tell

	at   int64 // how far the log was read
	hash hash.Hash
}

// errChanged is a log that does not begin with what its reader has of it.
var errChanged = errors.New("the log is no longer what was read of it before: Jenkins lost a part of it")

func newResume(w io.Writer, from int64, sum string) *resume {
	return &resume{w: w, from: from, sum: sum, hash: sha256.New()}
}

// Write implements io.Writer.
func (r *resume) Write(p []byte) (int, error) {
	n := len(p)
	if r.at < r.from {
		known := min(int64(len(p)), r.from-r.at)
		r.hash.Write(p[:known])
		r.at += known
		if p = p[known:]; r.at == r.from && r.sum != "" && hex.EncodeToString(r.hash.Sum(nil)) != r.sum {
			return 0, errChanged
		}
	}
	if len(p) > 0 {
		if _, err := r.w.Write(p); err != nil {
			return 0, err
		}
		r.at += int64(len(p))
	}
	return n, nil
}

// end says that the log ends here, complete.
func (r *resume) end() error {
	if r.at < r.from {
		return errChanged
	}
	return nil
}

// sent is how many bytes the reader has got of the log, on all its connections.
func (r *resume) sent() int64 { return max(r.at, r.from) }

func parseOffset(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("offset is %q, want a number of bytes", clip(s))
	}
	return n, nil
}

func parseSum(s string) (string, error) {
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size || s != hex.EncodeToString(b) {
		return "", fmt.Errorf("sum is %q, want a SHA-256 in lower case hex", clip(s))
	}
	return s, nil
}
