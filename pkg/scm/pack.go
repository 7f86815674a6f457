package scm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// Limits of one packfile, beside the bytes of Options.MaxFetch.
const (
	maxPackObjects = 1 << 20
	maxTree        = 8 << 20 // a directory of about 200,000 files
	maxKeptBlob    = 1 << 20 // larger than a config file may be: others are deltas against it
	maxDeltaChain  = 4096    // git's own limit is 4095
	objectOverhead = 160     // of memory, roughly, for each object kept
)

// pack holds the objects of a packfile that a config file can depend on. go-git's
// own parser keeps every object inflated, with no bound; this one keeps nothing
// larger than a config file needs, deltas as they came, and at most budget bytes.
//
// Objects are found by the hash of what was really received, so that a host cannot
// give another file than the one at the commit.
type pack struct {
	budget   int64
	byHash   map[plumbing.Hash]*packed
	byOffset map[int64]*packed
	tooBig   map[plumbing.Hash]bool // not kept
	deltas   []*packed
	resolved bool
}

type packed struct {
	typ        plumbing.ObjectType
	data       []byte // of a delta: the delta
	baseOffset int64
	baseHash   plumbing.Hash
}

func (e *packed) isDelta() bool { return e.typ.IsDelta() }

// readPack reads a packfile to its end.
func readPack(r io.Reader, budget int64) (*pack, error) {
	p := &pack{
		budget: budget,
		byHash: map[plumbing.Hash]*packed{}, byOffset: map[int64]*packed{}, tooBig: map[plumbing.Hash]bool{},
	}
	s := packfile.NewScanner(r)
	_, count, err := s.Header()
	if err != nil {
		return nil, fmt.Errorf("read packfile: %w", err)
	}
	if count > maxPackObjects {
		return nil, fmt.Errorf("read packfile of %d objects: %w", count, errTooLarge)
	}
	for range count {
		if err := p.readObject(s); err != nil {
			return nil, fmt.Errorf("read packfile: %w", err)
		}
	}
	return p, nil
}

func (p *pack) readObject(s *packfile.Scanner) error {
	h, err := s.NextObjectHeader()
	if err != nil {
		return err
	}
	limit := int64(maxTree)
	if h.Type == plumbing.BlobObject {
		limit = maxKeptBlob
	}
	if h.Length < 0 || h.Length > limit {
		if h.Type.IsDelta() {
			_, _, err = s.NextObject(io.Discard) // whatever depends on it will be missing
			return err
		}
		hasher := plumbing.NewHasher(h.Type, h.Length)
		if _, _, err = s.NextObject(hasher); err == nil {
			p.tooBig[hasher.Sum()] = true
			p.budget -= objectOverhead
		}
		return err
	}
	if p.budget -= h.Length + objectOverhead; p.budget < 0 {
		return errTooLarge
	}
	var buf bytes.Buffer
	if n, _, err := s.NextObject(&buf); err != nil {
		return err
	} else if n != h.Length {
		return fmt.Errorf("object at %d has %d bytes, wanted %d", h.Offset, n, h.Length)
	}
	e := &packed{typ: h.Type, data: buf.Bytes(), baseOffset: h.OffsetReference, baseHash: h.Reference}
	p.byOffset[h.Offset] = e
	if e.isDelta() {
		p.deltas = append(p.deltas, e)
	} else {
		p.byHash[plumbing.ComputeHash(e.typ, e.data)] = e
	}
	return nil
}

// object gives the object that has the hash, type 0 when the pack does not hold it.
func (p *pack) object(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	e, ok := p.byHash[hash]
	if !ok && !p.tooBig[hash] {
		if err := p.resolveDeltas(); err != nil {
			return 0, nil, err
		}
		e, ok = p.byHash[hash]
	}
	if p.tooBig[hash] {
		return 0, nil, errTooLarge
	}
	if !ok {
		return 0, nil, nil
	}
	return p.content(e, 0)
}

var errBaseMissing = errors.New("the base of a delta is missing")

func (p *pack) content(e *packed, depth int) (plumbing.ObjectType, []byte, error) {
	if !e.isDelta() {
		return e.typ, e.data, nil
	}
	if depth > maxDeltaChain {
		return 0, nil, errors.New("chain of deltas without an end")
	}
	base := p.byOffset[e.baseOffset]
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
	if deltaTarget(e.data) > maxTree {
		return 0, nil, errTooLarge
	}
	out, err := packfile.PatchDelta(src, e.data)
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
