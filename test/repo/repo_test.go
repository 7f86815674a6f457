package repo

import (
	"bytes"
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

func stderr(err error) string {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(exit.Stderr)
	}
	return ""
}

// TestPackageComments: a package says what it is for, or nobody can tell what does
// not belong in it.
func TestPackageComments(t *testing.T) {
	documented := map[string]bool{}
	walk(t, ".go", func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.Dir(path)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		documented[dir] = documented[dir] || f.Doc != nil && len(f.Doc.Text()) > 40
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s: no file has a package comment that says the package's purpose", strings.TrimPrefix(dir, root+"/"))
		}
	}
}

var (
	makeTarget  = regexp.MustCompile(`(?m)^([a-z0-9-]+):.*## `)
	makeCommand = regexp.MustCompile("(?m)(?:^|`|^\\$ )make ([a-z0-9-]+)")
	codeSpan    = regexp.MustCompile("`[^`\n]*`")
	docLink     = regexp.MustCompile(`\]\(([^)#]+?)(?:#[^)]*)?\)`)
)

// TestReadmeCommands: a command that the documents name exists.
func TestReadmeCommands(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range makeTarget.FindAllSubmatch(read(t, root+"/Makefile"), -1) {
		targets[string(m[1])] = true
	}
	for _, doc := range []string{"README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"} {
		text := read(t, filepath.Join(root, doc))
		for _, m := range makeCommand.FindAllSubmatch(text, -1) {
			if !targets[string(m[1])] {
				t.Errorf("%s names `make %s`: no such target", doc, m[1])
			}
		}
		if doc == "README.md" && !bytes.Contains(text, []byte("make test")) {
			t.Error("README.md does not name the test command")
		}
	}
}

// TestLinks: a relative link in a document leads somewhere.
func TestLinks(t *testing.T) {
	walk(t, ".md", func(path string) {
		for _, m := range docLink.FindAllSubmatch(codeSpan.ReplaceAll(read(t, path), nil), -1) {
			target := string(m[1])
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), target)); err != nil {
				t.Errorf("%s links to %s: %v", strings.TrimPrefix(path, root+"/"), target, err)
			}
		}
	})
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func walk(t *testing.T, suffix string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin" || d.Name() == "dist") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, suffix) {
			visit(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
