package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocsAreUpToDate(t *testing.T) {
	var out bytes.Buffer
	if err := run("../..", true, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestGenerateIsDeterministic(t *testing.T) {
	first, err := generate("../..")
	if err != nil {
		t.Fatal(err)
	}
	second, err := generate("../..")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second, cmp.AllowUnexported(file{})); diff != "" {
		t.Errorf("another output (-first +second):\n%s", diff)
	}
}

func TestCheckTellsWhatIsStale(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"pkg/pipeline", "pkg/apis/pipeline/v1alpha1"} {
		if err := os.CopyFS(filepath.Join(root, dir), os.DirFS(filepath.Join("../..", dir))); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := run(root, true, &out); err == nil {
		t.Error("missing files pass the check")
	}
	if diff := cmp.Diff("docs/config.md is out of date\ndocs/config.schema.json is out of date\n", out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if err := run(root, false, &out); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true, &out); err != nil {
		t.Errorf("after writing: %v", err)
	}
}
