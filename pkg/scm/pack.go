package scm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// Limits of one packfile, beside the bytes of Options.MaxFetch.
const (
	maxPackObjects = 1 << 20
	maxTree        = 8 << 20 // a directory of about 200,000 files
	maxDeltaChain  = 4096    // git's own limit is 4095
	objectOverhead = 200     // of memory, roughly, for each object in the index
	packChunk      = 1 << 20
)

// memory bounds what all calls of a Reader hold together.
type memory struct{ left atomic.Int64 }

var errBusy = errors.New("too many large repositories are being read at once")

func (m *memory) take(n int64) error {
	if m.left.Add(-n) < 0 {
		m.left.Add(n)
		return errBusy
	}
	return nil
}

func (m *memory) give(n int64) { m.left.Add(n) }

// pack is a packfile as it came, compressed, and an index of it. go-git's own parser
// keeps every object inflated, with no bound; here an object is inflated when it is
// asked for, so that memory is bounded by what was received.
//
// Objects are found by the hash of what was really received, so that a host cannot
// give another file than the one at the commit.
type pack struct {
	data     chunks
	scanner  *packfile.Scanner
	byHash   map[plumbing.Hash]*packed
	byOffset map[int64]*packed
	deltas   []*packed
	resolved bool

	memory *memory
	held   int64
}

type packed struct {
	typ                    plumbing.ObjectType
	offset, length, inBase int64 // inBase: the offset of an OFS delta's base
	baseHash               plumbing.Hash
}

func (e *packed) isDelta() bool { return e.typ.IsDelta() }

// readPack reads a packfile to its end: at most budget bytes, which are taken from
// m until close.
func readPack(r io.Reader, budget int64, m *memory) (*pack, error) {
	p := &pack{byHash: map[plumbing.Hash]*packed{}, byOffset: map[int64]*packed{}, memory: m}
	if err := p.load(r, budget); err != nil {
		p.close()
		return nil, fmt.Errorf("read packfile: %w", err)
	}
	return p, nil
}

// close gives back the memory.
func (p *pack) close() {
	p.memory.give(p.held)
	p.held, p.data, p.byHash, p.byOffset, p.deltas = 0, chunks{}, nil, nil, nil
}

func (p *pack) hold(n int64) error {
	if err := p.memory.take(n); err != nil {
		return err
	}
	p.held += n
	return nil
}

func (p *pack) load(r io.Reader, budget int64) error {
	for {
		if err := p.hold(packChunk); err != nil {
			return err
		}
		chunk := make([]byte, packChunk)
		n, err := io.ReadFull(r, chunk)
		p.data.add(chunk[:n])
		switch {
		case p.data.size > budget:
			return errTooLarge
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return p.index(budget)
		case err != nil:
			return err
		}
	}
}

// index inflates every object once, to learn its hash, and keeps none.
func (p *pack) index(budget int64) error {
	p.scanner = packfile.NewScanner(&p.data)
	_, count, err := p.scanner.Header()
	if err != nil {
		return err
	}
	if count > maxPackObjects || int64(count) > p.data.size || int64(count)*objectOverhead > budget {
		return fmt.Errorf("%d objects: %w", count, errTooLarge)
	}
	if err := p.hold(int64(count) * objectOverhead); err != nil {
		return err
	}
	for range count {
		h, err := p.scanner.NextObjectHeader()
		if err != nil {
			return err
		}
		e := &packed{typ: h.Type, offset: h.Offset, length: h.Length, inBase: h.OffsetReference, baseHash: h.Reference}
		p.byOffset[e.offset] = e
		if e.isDelta() {
			p.deltas = append(p.deltas, e)
			if _, _, err := p.scanner.NextObject(io.Discard); err != nil {
				return err
			}
			continue
		}
		hasher := plumbing.NewHasher(h.Type, h.Length)
		n, _, err := p.scanner.NextObject(hasher)
		if err != nil {
			return err
		}
		if n != h.Length {
			return fmt.Errorf("object at %d has %d bytes, wanted %d", h.Offset, n, h.Length)
		}
		p.byHash[hasher.Sum()] = e
	}
	return nil
}

// inflate gives an object as it is in the pack: of a delta, the delta.
func (p *pack) inflate(e *packed) ([]byte, error) {
	if e.length > maxTree {
		return nil, errTooLarge
	}
	if _, err := p.scanner.SeekObjectHeader(e.offset); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	_, _, err := p.scanner.NextObject(&buf)
	return buf.Bytes(), err
}

// object gives the object that has the hash, type 0 when the pack does not hold it.
func (p *pack) object(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	e, ok := p.byHash[hash]
	if !ok {
		if err := p.resolveDeltas(); err != nil {
			return 0, nil, err
		}
		if e, ok = p.byHash[hash]; !ok {
			return 0, nil, nil
		}
	}
	return p.content(e, 0)
}

var errBaseMissing = errors.New("the base of a delta is missing")

// content gives an object whole, by applying deltas to their bases.
func (p *pack) content(e *packed, depth int) (plumbing.ObjectType, []byte, error) {
	data, err := p.inflate(e)
	if err != nil || !e.isDelta() {
		return e.typ, data, err
	}
	if depth > maxDeltaChain {
		return 0, nil, errors.New("chain of deltas without an end")
	}
	if deltaTarget(data) > maxTree {
		return 0, nil, errTooLarge
	}
	base := p.byOffset[e.inBase]
	if e.typ == plumbing.REFDeltaObject {
		base = p.byHash[e.baseHash]
	}
	if base == nil || base == e {
		return 0, nil, errBaseMissing
	}
	typ, src, err := p.content(base, depth+1)
	if err != nil {
		return 0, nil, err
	}
	out, err := packfile.PatchDelta(src, data)
	if err != nil {
		return 0, nil, fmt.Errorf("apply delta: %w", err)
	}
	return typ, out, nil
}

// resolveDeltas learns the hashes of all deltas, once, and only when an object is
// asked for that is not there as a whole. Deltas against a hash may need a hash that
// another delta gives, so it goes round until nothing new is learnt.
func (p *pack) resolveDeltas() error {
	if p.resolved {
		return nil
	}
	p.resolved = true
	work := int64(16) * defaultMaxFetch
	pending := p.deltas
	for len(pending) > 0 {
		var left []*packed
		for _, e := range pending {
			typ, data, err := p.content(e, 0)
			switch {
			case errors.Is(err, errBaseMissing):
				left = append(left, e)
				continue
			case errors.Is(err, errTooLarge):
				continue
			case err != nil:
				return err
			}
			if work -= int64(len(data)); work < 0 {
				return errTooLarge
			}
			p.byHash[plumbing.ComputeHash(typ, data)] = e
		}
		if len(left) == len(pending) {
			break
		}
		pending = left
	}
	return nil
}

// deltaTarget is the size that a delta says its result has: the second of two
// numbers in 7 bit groups, the lowest first (gitformat-pack).
func deltaTarget(delta []byte) uint64 {
	var n uint64
	for range 2 {
		n = 0
		for shift := uint(0); ; shift += 7 {
			if len(delta) == 0 || shift > 56 {
				return 1 << 62
			}
			b := delta[0]
			delta = delta[1:]
			n |= uint64(b&0x7f) << shift
			if b&0x80 == 0 {
				break
			}
		}
	}
	return n
}

// chunks is memory that grows without being copied, read like a file.
type chunks struct {
	parts [][]byte // all of packChunk bytes but the last
	size  int64
	pos   int64
}

func (c *chunks) add(part []byte) {
	c.parts = append(c.parts, part)
	c.size += int64(len(part))
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.pos >= c.size {
		return 0, io.EOF
	}
	n := copy(p, c.parts[c.pos/packChunk][c.pos%packChunk:])
	c.pos += int64(n)
	return n, nil
}

func (c *chunks) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.pos
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 || offset > c.size {
		return 0, errors.New("seek outside of the pack")
	}
	c.pos = offset
	return offset, nil
}

// errNoFile: a tree that has no such file.
var errNoFile = errors.New("no such file")

// errNotInPack: an object that a filter left out.
type errNotInPack struct{ hash plumbing.Hash }

func (e *errNotInPack) Error() string { return "object " + e.hash.String() + " is missing" }

// objects is where commits, trees and blobs are looked up; type 0 without an error
// means not there.
type objects interface {
	object(plumbing.Hash) (plumbing.ObjectType, []byte, error)
}

// findBlob walks from a commit to a file and gives the blob's hash.
func findBlob(o objects, commit plumbing.Hash, path string) (plumbing.Hash, error) {
	typ, data, err := o.object(commit)
	for depth := 0; err == nil && typ == plumbing.TagObject && depth < 8; depth++ {
		target, ok := headerHash(data, "object ")
		if !ok {
			return plumbing.ZeroHash, errors.New("tag without an object")
		}
		commit = target
		typ, data, err = o.object(target)
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if typ == 0 {
		return plumbing.ZeroHash, &errNotInPack{commit}
	}
	if typ != plumbing.CommitObject {
		return plumbing.ZeroHash, fmt.Errorf("%s is a %s, wanted a commit", commit, typ)
	}
	tree, ok := headerHash(data, "tree ")
	if !ok {
		return plumbing.ZeroHash, errors.New("commit without a tree")
	}
	parts := strings.Split(path, "/")
	for i, name := range parts {
		typ, data, err := o.object(tree)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if typ == 0 {
			return plumbing.ZeroHash, &errNotInPack{tree}
		}
		if typ != plumbing.TreeObject {
			return plumbing.ZeroHash, fmt.Errorf("%s is a %s, wanted a tree", tree, typ)
		}
		mode, hash, err := treeEntry(data, name)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		switch last := i == len(parts)-1; {
		case hash.IsZero(), last && mode == "40000", last && mode == "160000", !last && mode != "40000":
			return plumbing.ZeroHash, errNoFile
		case last && mode == "120000":
			return plumbing.ZeroHash, errorf(KindInvalid, "%s is a symbolic link, wanted a file", path)
		}
		tree = hash
	}
	return tree, nil
}

// treeEntry finds a name in a tree: entries are "<mode> <name>\0<20 bytes of hash>".
func treeEntry(tree []byte, name string) (mode string, hash plumbing.Hash, err error) {
	for len(tree) > 0 {
		sp := bytes.IndexByte(tree, ' ')
		nul := bytes.IndexByte(tree, 0)
		if sp < 0 || nul < sp || len(tree) < nul+1+len(hash) {
			return "", plumbing.ZeroHash, errors.New("malformed tree")
		}
		if string(tree[sp+1:nul]) == name {
			copy(hash[:], tree[nul+1:])
			return string(tree[:sp]), hash, nil
		}
		tree = tree[nul+1+len(hash):]
	}
	return "", plumbing.ZeroHash, nil
}

// headerHash reads the hash from the first line of a commit or tag.
func headerHash(data []byte, key string) (h plumbing.Hash, ok bool) {
	rest, found := bytes.CutPrefix(data, []byte(key))
	if !found || len(rest) < 2*len(h) {
		return h, false
	}
	_, err := hex.Decode(h[:], rest[:2*len(h)])
	return h, err == nil
}
