package cli

import (
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]address{
		"app":                 {addressName, "app", 0},
		"app-x7k2p":           {addressName, "app-x7k2p", 0},
		"pipeline/app":        {addressPipeline, "app", 0},
		"pl/app":              {addressPipeline, "app", 0},
		"pipeline/app#3":      {addressNumber, "app", 3},
		"pipeline/app@latest": {addressLatest, "app", 0},
		"run/app-x":           {addressRun, "app-x", 0},
		"pe/app-x":            {addressRun, "app-x", 0},
		"app#12":              {addressNumber, "app", 12},
		"app@latest":          {addressLatest, "app", 0},
		"@latest":             {addressLatest, "", 0},
		"pipelineexecution.kubectl-pipeline.io/app-x": {addressRun, "app-x", 0}, // what -o name prints
	} {
		got, err := parseAddress(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "App", "app#", "app#0", "app#-1", "app#x", "#3", "@", "@newest", "app@newest", "a/b", "run/", "run/../x", "..", ".", "-n",
		"app/../../secrets/x", "a b", "app#1#2", "app%2f", "run/app#1", "pod/app", "app\n",
	} {
		if got, err := parseAddress(text); err == nil {
			t.Errorf("%q: %+v, want an error", text, got)
		}
	}
}

// FuzzParseAddress: whatever is typed, nothing but a name can reach a request's path.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"app", "app#12", "@latest", "pipeline/app", "run/app-x7k2p", "../x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			return
		}
		if a.name != "" && !isName(a.name) || a.name == "" && a.kind != addressLatest || a.name == ".." {
			t.Errorf("%q: %+v", s, a)
		}
	})
}

func TestNearest(t *testing.T) {
	for s, want := range map[string]string{"ap": "app", "aap": "app", "frontned": "frontend", "zzz": "", "frontend-very-different": "", "backend": "backend"} {
		if got := nearest(s, []string{"app", "backend", "frontend"}); got != want {
			t.Errorf("%s: %q, want %q", s, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abc", "abc", 0}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
