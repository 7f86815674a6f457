package logs

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
)

// replay passes a log on to w. After restart it is given the log from the beginning
// again: it swallows what it passed on before, and passes on what is new.
//
// To tell the one from the other it keeps the log's last bytes, and a hash of those
// before them:
//
//	log     ├──────────── hashed ───────────┼──── kept ────┤
//	        0                             start       start+len(kept)
//	replay  ├─ hash, compare at start ─────▶├─ compare ───▶├─ pass on
//
// A log that was cut by a crash and has gone on since differs from what was passed on
// where the crash was: from there on everything is new. That is found as long as the
// crash took no more than maxHistory bytes; when it took more, replay fails rather
// than to guess.
type replay struct {
	w    io.Writer
	seen int64 // bytes given to Write, replayed ones too: a measure of progress
	err  error // that of w, or of a log that cannot be matched; it is final

	start  int64
	hashed hash.Hash
	kept   []byte

	replaying bool
	at        int64 // how far the replay has come
	again     hash.Hash
}

func newReplay(w io.Writer) *replay {
	return &replay{w: w, hashed: sha256.New()}
}

// restart says that the next byte is the log's first.
func (r *replay) restart() {
	r.replaying, r.at, r.again = true, 0, sha256.New()
	r.check()
}

// end says that the log ends here.
func (r *replay) end() error {
	if r.replaying && r.at < r.start {
		r.fail(r.at)
	}
	return r.err
}

// Write implements io.Writer. It does not keep p.
func (r *replay) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n := len(p)
	r.seen += int64(n)
	if r.replaying {
		p = r.match(p)
	}
	for len(p) > 0 && r.err == nil {
		chunk := p[:min(len(p), maxChunk)]
		p = p[len(chunk):]
		if _, err := r.w.Write(chunk); err != nil {
			r.err = err
		}
		r.keep(chunk)
	}
	if r.err != nil {
		return 0, r.err
	}
	return n, nil
}

// match swallows the part of p that was passed on before, and returns the rest.
func (r *replay) match(p []byte) []byte {
	if r.at < r.start {
		n := min(int64(len(p)), r.start-r.at)
		r.again.Write(p[:n])
		r.at += n
		p = p[n:]
		if r.check(); r.err != nil || r.at < r.start {
			return nil
		}
	}
	known := r.kept[r.at-r.start:]
	same := 0
	for same < len(p) && same < len(known) && p[same] == known[same] {
		same++
	}
	r.at += int64(same)
	if same < len(p) {
		// New, since either all that was known matched, or the log goes on otherwise: then
		// what it held from here on was passed on and is not part of it any more.
		r.kept = r.kept[:r.at-r.start]
		r.replaying = false
	}
	return p[same:]
}

// check compares the hashes once the replay has come to where the kept bytes start.
func (r *replay) check() {
	if r.at == r.start && string(r.again.Sum(nil)) != string(r.hashed.Sum(nil)) {
		r.fail(r.start)
	}
}

func (r *replay) fail(at int64) {
	r.err = fmt.Errorf("the log was cut: it is no longer what was delivered of it before byte %d", at)
}

// keep remembers a chunk, and hashes the oldest bytes away when there is no room.
func (r *replay) keep(chunk []byte) {
	if r.kept == nil {
		r.kept = make([]byte, 0, historySize)
	}
	if len(r.kept)+len(chunk) > historySize {
		old := len(r.kept) - maxHistory
		r.hashed.Write(r.kept[:old])
		r.start += int64(old)
		r.kept = r.kept[:copy(r.kept, r.kept[old:])]
	}
	r.kept = append(r.kept, chunk...)
}
