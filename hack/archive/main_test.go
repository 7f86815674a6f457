package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type entry struct {
	Name, Content string
	Mode          int64
	Seconds       int64
	Owner         string
}

func unpack(t *testing.T, archive string) []entry {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []entry
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{h.Name, string(content), h.Mode, h.ModTime.Unix(), fmt.Sprint(h.Uid, h.Gid, h.Uname, h.Gname)})
	}
}

// TestSameContentSameBytes packs two folders that differ in all but the contents.
func TestSameContentSameBytes(t *testing.T) {
	var lines []string
	for i, mode := range []os.FileMode{0o755, 0o700} {
		dir := t.TempDir()
		program, license := filepath.Join(dir, "kubectl-pipeline"), filepath.Join(dir, "LICENSE")
		for file, m := range map[string]os.FileMode{program: mode, license: mode &^ 0o111} {
			if err := os.WriteFile(file, []byte(filepath.Base(file)+"'s content"), m); err != nil {
				t.Fatal(err)
			}
			at := time.Unix(int64(1000*i), 0)
			if err := os.Chtimes(file, at, at); err != nil {
				t.Fatal(err)
			}
		}
		var out bytes.Buffer
		archive := filepath.Join(dir, "a.tar.gz")
		if err := run([]string{archive, license, program}, &out); err != nil {
			t.Fatal(err)
		}
		packed, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%x  a.tar.gz\n", sha256.Sum256(packed)); out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
		lines = append(lines, out.String())
		want := []entry{
			{"LICENSE", "LICENSE's content", 0o644, 0, "0 0"},
			{"kubectl-pipeline", "kubectl-pipeline's content", 0o755, 0, "0 0"},
		}
		if diff := cmp.Diff(want, unpack(t, archive)); diff != "" {
			t.Errorf("archive (-want +got):\n%s", diff)
		}
	}
	if lines[0] != lines[1] {
		t.Errorf("same content, different archives:\n%s%s", lines[0], lines[1])
	}
}

func TestArchiveRefuses(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "a.tar.gz")
	for name, args := range map[string][]string{
		"no files":           {archive},
		"a file that is not": {archive, filepath.Join(t.TempDir(), "none")},
	} {
		if err := run(args, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := os.Stat(archive); err == nil {
			t.Errorf("%s: an archive is left behind", name)
		}
	}
}
