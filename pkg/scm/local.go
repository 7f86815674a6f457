package scm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// localHost reads a repository on our own disk, for tests and demos.
type localHost struct {
	dir     string
	maxFile int64
}

func (h *localHost) open() (*filesystem.Storage, error) {
	dir := h.dir
	if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
		dir = filepath.Join(dir, ".git")
	}
	if _, err := os.Stat(filepath.Join(dir, "objects")); err != nil {
		return nil, notFound(MissingRepository, "open %s: no Git repository there", h.dir)
	}
	return filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRU(4*cache.MiByte)), nil
}

func (h *localHost) resolve(_ context.Context, ref string) (string, error) {
	s, err := h.open()
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }()
	names := candidates(ref)
	if ref == "HEAD" {
		names = []string{ref}
	}
	for _, full := range names {
		r, err := storer.ResolveReference(s, plumbing.ReferenceName(full))
		if errors.Is(err, plumbing.ErrReferenceNotFound) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("resolve %s of %s: %w", ref, h.dir, err)
		}
		return peel(stored{s, h.maxFile}, r.Hash()).String(), nil
	}
	return "", notFound(MissingRef, "resolve %s of %s: no such branch or tag", ref, h.dir)
}

// peel follows annotated tags to what they name.
func peel(o objects, hash plumbing.Hash) plumbing.Hash {
	for range 8 {
		typ, data, err := o.object(hash)
		if err != nil || typ != plumbing.TagObject {
			break
		}
		target, ok := headerHash(data, "object ")
		if !ok {
			break
		}
		hash = target
	}
	return hash
}

func (h *localHost) file(_ context.Context, commit string, paths []string) (string, string, error) {
	what := fmt.Sprintf("read %s of %s at %s", strings.Join(paths, ", "), h.dir, commit)
	s, err := h.open()
	if err != nil {
		return "", "", err
	}
	defer func() { _ = s.Close() }()
	o := stored{s, h.maxFile}
	hash := plumbing.NewHash(commit)
	for _, p := range paths {
		blob, err := findBlob(o, hash, p)
		var missing *errNotInPack
		switch {
		case errors.Is(err, errNoFile):
			continue
		case errors.As(err, &missing) && missing.hash == hash:
			return "", "", notFound(MissingCommit, "%s: no such commit", what)
		case err != nil:
			return "", "", err
		}
		_, data, err := o.object(blob)
		if errors.Is(err, errTooLarge) || int64(len(data)) > h.maxFile {
			return "", "", errorf(KindTooLarge, "%s: the file is larger than %d bytes", what, h.maxFile)
		}
		return p, string(data), err
	}
	return "", "", notFound(MissingFile, "%s: no such file at that commit", what)
}

// stored looks objects up on disk.
type stored struct {
	s       *filesystem.Storage
	maxFile int64
}

func (o stored) object(hash plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	size, err := o.s.EncodedObjectSize(hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return 0, nil, nil
	}
	if err == nil && size > max(maxTree, o.maxFile) {
		err = errTooLarge
	}
	if err != nil {
		return 0, nil, err
	}
	obj, err := o.s.EncodedObject(plumbing.AnyObject, hash)
	if err != nil {
		return 0, nil, err
	}
	r, err := obj.Reader()
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(r)
	return obj.Type(), data, err
}
