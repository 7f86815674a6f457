package v1alpha1

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestShortHashKeepsPartsApart(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"b", "a"}, {"1:a"}, {"1", "a"}} {
		h := ShortHash(parts...)
		if len(h) != 10 {
			t.Errorf("ShortHash(%q) = %q: want 10 digits", parts, h)
		}
		if other, ok := seen[h]; ok {
			t.Errorf("ShortHash(%q) = ShortHash(%q)", parts, other)
		}
		seen[h] = parts
	}
}

func TestEventExecutionNameIsTheEvents(t *testing.T) {
	name := EventExecutionName("app", "delivery", "refs/heads/main")
	if again := EventExecutionName("app", "delivery", "refs/heads/main"); again != name || !strings.HasPrefix(name, "app-") {
		t.Errorf("%q, then %q: want the same, and the pipeline's name", name, again)
	}
	for _, other := range []string{
		EventExecutionName("app2", "delivery", "refs/heads/main"),
		EventExecutionName("app", "delivery2", "refs/heads/main"),
		EventExecutionName("app", "delivery", "refs/heads/dev"),
	} {
		if other == name {
			t.Errorf("another event has the name %q too", name)
		}
	}
	if long := EventExecutionName(strings.Repeat("a", 253), "d", "r"); len(validation.IsDNS1123Subdomain(long)) > 0 {
		t.Errorf("%q (%d bytes) is no object name", long, len(long))
	}
}

func TestJenkinsJobIsNewForARecreatedExecution(t *testing.T) {
	names := ProjectNames{Namespace: "shop"}
	one, two := names.JenkinsJob("app-1", "uid-1"), names.JenkinsJob("app-1", "uid-2")
	if one == two {
		t.Errorf("two executions of one name share the job %q", one)
	}
	if long := names.JenkinsJob(strings.Repeat("A.", 150), "uid"); len(long) > 200 || long != strings.ToLower(long) {
		t.Errorf("%q: want at most 200 bytes, lower case", long)
	}
}

func FuzzLabelValue(f *testing.F) {
	for _, s := range []string{"", "app", "-", "a/b", "ünïcode", strings.Repeat("x", 64), strings.Repeat("-", 80), "a" + strings.Repeat(".", 62) + "b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := LabelValue(s)
		if problems := validation.IsValidLabelValue(v); len(problems) > 0 {
			t.Errorf("LabelValue(%q) = %q: %v", s, v, problems)
		}
		if len(validation.IsValidLabelValue(s)) == 0 && v != s {
			t.Errorf("LabelValue(%q) = %q: it was valid already", s, v)
		}
	})
}
