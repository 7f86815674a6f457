package jenkins

import (
	"strings"
	"testing"
)

func FuzzReadMarker(f *testing.F) {
	config, _, err := configXML(Job{UID: "u", Script: "x", Description: "d"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(config)
	f.Add(strings.Replace(config, "1.0", "1.1", 1))
	f.Add("<a><b><description>managed-by=kubectl-pipeline; uid=x; hash=sha256:" + strings.Repeat("0", 64) + "</description></b></a>")
	f.Fuzz(func(t *testing.T, text string) {
		if uid, hash, ok := readMarker(text); ok && (len(hash) != 64 || strings.ContainsAny(uid, "; ")) {
			t.Errorf("marker %q %q", uid, hash)
		}
	})
}

func FuzzParseTaskURL(f *testing.F) {
	for _, seed := range []string{"job/f/job/j/12/", "http://x/ctx/job/f/job/j/", "/job/job/job/job/3/", "job/a%2Fb/", "job", "", "//", "http://[", "job/%zz/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if ref, build, ok := parseTaskURL(raw); ok && (ref.Name == "" && !strings.Contains(raw, "job") || build < -1<<40) {
			t.Errorf("parseTaskURL(%q) = %v, %d", raw, ref, build)
		}
	})
}

func TestParseTaskURL(t *testing.T) {
	for raw, want := range map[string]struct {
		ref   JobRef
		build int
		ok    bool
	}{
		"job/f/job/j/12/":                       {JobRef{"f", "j"}, 12, true},
		"http://host:8080/ctx/job/f/job/j/":     {JobRef{"f", "j"}, 0, true},
		"https://h/job/a/job/b%20b/job/c/":      {JobRef{"a/b b", "c"}, 0, true},
		"https://h/job/42/":                     {JobRef{"", "42"}, 0, true}, // a job named like a number
		"https://h/job/f/job/42/7/":             {JobRef{"f", "42"}, 7, true},
		"https://h/computer/x/":                 {JobRef{}, 0, false},
		"":                                      {JobRef{}, 0, false},
		"https://h/some/job/ctx/job/f/job/j/3/": {JobRef{"ctx/f", "j"}, 3, true}, // a context path that looks like a folder
		"https://h/job/%E4%B8%96/job/x/":        {JobRef{"世", "x"}, 0, true},
	} {
		ref, build, ok := parseTaskURL(raw)
		if ref != want.ref || build != want.build || ok != want.ok {
			t.Errorf("parseTaskURL(%q) = %v, %d, %t", raw, ref, build, ok)
		}
	}
}

func TestAPanicOfTheLibraryIsAnError(t *testing.T) {
	err := guard(func() error { panic("assignment to entry in nil map") })
	if err == nil || !strings.Contains(err.Error(), "gojenkins panicked: assignment to entry in nil map") {
		t.Errorf("error = %v", err)
	}
}
