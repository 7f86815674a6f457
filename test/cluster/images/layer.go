package images

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fileTime is every file's: the same content has to make the same image. It is in
// the future because the go command drops what lies unused in its cache for days,
// by this time.
var fileTime = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)

// stage is a folder that becomes a layer, once for all images that have it.
type stage struct {
	dir, name string
	fill      func(root string) error
	made      *layer
}

func (s *stage) layer() (v1.Layer, error) {
	if s.made != nil {
		return s.made, nil
	}
	root := filepath.Join(s.dir, s.name+".root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	if err := s.fill(root); err != nil {
		return nil, err
	}
	made, err := pack(root, filepath.Join(s.dir, s.name+".layer"))
	if err != nil {
		return nil, err
	}
	s.made = made
	return made, nil
}

// layer is a tar file that is not compressed: it is unpacked on the same disk at
// once, and compressing would take most of the time.
type layer struct {
	path string
	hash v1.Hash
	size int64
}

func (l *layer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l *layer) Compressed() (io.ReadCloser, error)   { return os.Open(l.path) }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.path) }
func (l *layer) Size() (int64, error)                 { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return types.DockerUncompressedLayer, nil }

// pack writes the content of root to a tar file, owned by root and in lexical order.
func pack(root, path string) (*layer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	hash := sha256.New()
	w := tar.NewWriter(io.MultiWriter(f, hash))
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		return packFile(w, path, strings.TrimPrefix(path, root+"/"))
	})
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, err
	}
	return &layer{path: path, hash: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))}, size: size}, f.Close()
}

func packFile(w *tar.Writer, path, name string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name, header.ModTime = name, fileTime
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}
	if info.IsDir() {
		header.Name += "/"
	}
	if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
