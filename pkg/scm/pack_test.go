package scm

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// packOf lets git pack everything that a repository has.
func packOf(t testing.TB, dir string) []byte {
	t.Helper()
	cmd := exec.Command("git", "pack-objects", "--all", "--stdout", "--delta-base-offset", "--no-reuse-delta", "-q")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPackFindsDeltifiedFiles(t *testing.T) {
	g := newGitDir(t)
	body := strings.Repeat("a line of a config file that changes little\n", 200)
	var commits []string
	for _, v := range []string{"one", "two", "three", "four"} {
		commits = append(commits, g.commit(map[string]string{".pipeline.yml": body + v + "\n", "dir/" + v: v}))
	}
	p, err := readPack(bytes.NewReader(packOf(t, g.dir)), 8<<20, testMemory(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.deltas) == 0 {
		t.Fatal("git made no deltas: the test shows nothing")
	}
	for i, v := range []string{"one", "two", "three", "four"} {
		blob, err := findBlob(p, plumbing.NewHash(commits[i]), ".pipeline.yml")
		if err != nil {
			t.Fatal(err)
		}
		_, data, err := p.object(blob)
		if err != nil || string(data) != body+v+"\n" {
			t.Errorf("file at commit %d: %d bytes, %v", i, len(data), err)
		}
	}
}

// bomb is a pack with one blob of zeros that inflates to size.
func bomb(t testing.TB, size int, declared uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x01")
	c := byte(plumbing.BlobObject)<<4 | byte(declared&0xf)
	for declared >>= 4; declared > 0; declared >>= 7 {
		b.WriteByte(c | 0x80)
		c = byte(declared & 0x7f)
	}
	b.WriteByte(c)
	z := zlib.NewWriter(&b)
	if _, err := z.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func testMemory(n int64) *memory {
	m := new(memory)
	m.left.Store(n)
	return m
}

func TestPackHoldsNoMoreThanItReceived(t *testing.T) {
	m := testMemory(4 << 20)
	p, err := readPack(bytes.NewReader(bomb(t, 64<<20, 64<<20)), 1<<20, m)
	if err != nil || len(p.byHash) != 1 {
		t.Fatalf("a blob of 64 MiB in few bytes: %v", err)
	}
	for h := range p.byHash {
		if _, _, err := p.object(h); !errors.Is(err, errTooLarge) {
			t.Errorf("reading it: %v, want too large", err)
		}
	}
	p.close()
	if _, err := readPack(bytes.NewReader(bomb(t, 64<<20, 100)), 1<<20, m); err == nil {
		t.Error("a blob larger than it says was accepted")
	}
	if _, err := readPack(io.LimitReader(rand.Reader, 9<<20), 2<<20, m); !errors.Is(err, errTooLarge) {
		t.Errorf("more bytes than the limit: %v", err)
	}
	if _, err := readPack(io.LimitReader(rand.Reader, 9<<20), 20<<20, m); !errors.Is(err, errBusy) {
		t.Errorf("more bytes than all calls may hold: %v", err)
	}
	head := []byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff")
	if _, err := readPack(bytes.NewReader(head), 1<<20, m); !errors.Is(err, errTooLarge) {
		t.Errorf("four billion objects: %v", err)
	}
	if got := m.left.Load(); got != 4<<20 {
		t.Errorf("%d bytes of memory were not given back", 4<<20-got)
	}
}

func TestDeltaTargetIsReadBeforeItIsBuilt(t *testing.T) {
	delta := binary.AppendUvarint(binary.AppendUvarint(nil, 10), 1<<40)
	if got := deltaTarget(delta); got != 1<<40 {
		t.Errorf("deltaTarget = %d, want %d", got, 1<<40)
	}
	if got := deltaTarget([]byte{0x80}); got <= maxTree {
		t.Errorf("a cut delta is taken for %d bytes", got)
	}
}

func FuzzReadPack(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x00"))
	f.Add(bomb(f, 100, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := testMemory(64 << 20)
		p, err := readPack(bytes.NewReader(data), 1<<20, m)
		if err != nil {
			if m.left.Load() != 64<<20 {
				t.Error("memory was not given back")
			}
			return
		}
		defer p.close()
		_ = p.resolveDeltas()
		for h := range p.byHash {
			_, _ = findBlob(p, h, "a/b")
		}
	})
}

func FuzzTreeEntry(f *testing.F) {
	f.Add([]byte("100644 a\x00aaaaaaaaaaaaaaaaaaaa40000 b\x00bbbbbbbbbbbbbbbbbbbb"), "b")
	f.Fuzz(func(_ *testing.T, tree []byte, name string) { _, _, _ = treeEntry(tree, name) })
}

func FuzzRepositoryURL(f *testing.F) {
	for _, s := range []string{"https://u:p@h:1/a/b.git?x#y", "git@h:a/b", "file:///a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if k := RepositoryKey(s); k != "" && !strings.Contains(k, "/") {
			t.Errorf("RepositoryKey(%q) = %q", s, k)
		}
	})
}
