package scm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/delivery"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/samples"
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

func sign(key, body []byte) string {
	m := hmac.New(sha256.New, key)
	m.Write(body)
	return "sha256=" + hex.EncodeToString(m.Sum(nil))
}

// Security: signatures are SHA-256 over the raw bytes, and anything else is refused.
func TestVerifyAcceptsOnlyARightSignature(t *testing.T) {
	sender, ok := SenderOf(v1alpha1.ProviderGitHub)
	if !ok {
		t.Fatal("GitHub is no sender")
	}
	body := []byte(`{"ref":"refs/heads/main"}`)
	right := sign(testKey, body)
	old := []byte("an older key that is still accepted")
	for name, c := range map[string]struct {
		keys   [][]byte
		header http.Header
		body   string
		want   error
	}{
		"a right signature":                 {header: http.Header{githubSignatureHeader: {right}}},
		"upper case hex":                    {header: http.Header{githubSignatureHeader: {"sha256=" + strings.ToUpper(right[7:])}}},
		"the second of two keys":            {keys: [][]byte{old, testKey}, header: http.Header{githubSignatureHeader: {right}}},
		"the first of two keys":             {keys: [][]byte{testKey, old}, header: http.Header{githubSignatureHeader: {right}}},
		"one changed byte in the body":      {header: http.Header{githubSignatureHeader: {right}}, body: `{"ref":"refs/heads/maim"}`, want: delivery.ErrSignature},
		"a signature by another key":        {keys: [][]byte{old}, header: http.Header{githubSignatureHeader: {right}}, want: delivery.ErrSignature},
		"no header":                         {want: delivery.ErrSignature},
		"an empty header":                   {header: http.Header{githubSignatureHeader: {""}}, want: delivery.ErrSignature},
		"the prefix only":                   {header: http.Header{githubSignatureHeader: {"sha256="}}, want: delivery.ErrSignature},
		"no prefix":                         {header: http.Header{githubSignatureHeader: {right[7:]}}, want: delivery.ErrSignature},
		"a short one":                       {header: http.Header{githubSignatureHeader: {right[:40]}}, want: delivery.ErrSignature},
		"a longer one":                      {header: http.Header{githubSignatureHeader: {right + "00"}}, want: delivery.ErrSignature},
		"no hex":                            {header: http.Header{githubSignatureHeader: {"sha256=" + strings.Repeat("z", 64)}}, want: delivery.ErrSignature},
		"SHA-1 only":                        {header: http.Header{"X-Hub-Signature": {"sha1=" + strings.Repeat("a", 40)}}, want: delivery.ErrSignature},
		"two headers, the first of them ok": {header: http.Header{githubSignatureHeader: {right, "sha256=00"}}, want: delivery.ErrSignature},
		"an empty key":                      {keys: [][]byte{{}}, header: http.Header{githubSignatureHeader: {sign(nil, body)}}, want: delivery.ErrNoKey},
		"no keys":                           {keys: [][]byte{}, header: http.Header{githubSignatureHeader: {sign(nil, body)}}, want: delivery.ErrNoKey},
		"a short key":                       {keys: [][]byte{[]byte("short")}, header: http.Header{githubSignatureHeader: {sign([]byte("short"), body)}}, want: delivery.ErrNoKey},
		"a short key beside a good one":     {keys: [][]byte{[]byte("short"), testKey}, header: http.Header{githubSignatureHeader: {sign([]byte("short"), body)}}, want: delivery.ErrSignature},
	} {
		if c.keys == nil {
			c.keys = [][]byte{testKey}
		}
		if c.body == "" {
			c.body = string(body)
		}
		if err := sender.Verify(c.keys, c.header, []byte(c.body), time.Time{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// push is a small push to change in tests.
func push(change func(m map[string]any)) []byte {
	m := map[string]any{
		"ref": "refs/heads/main", "before": strings.Repeat("a", 40), "after": strings.Repeat("b", 40),
		"created": false, "deleted": false, "forced": false, "compare": "https://github.com/acme/shop/compare/a...b",
		"commits": []any{map[string]any{"id": strings.Repeat("b", 40), "added": []any{"a.go"}, "modified": []any{"b.go", "a.go"}, "removed": []any{"c.go"}}},
		"head_commit": map[string]any{
			"id": strings.Repeat("b", 40), "message": "Fix it", "url": "https://github.com/acme/shop/commit/b",
			"author": map[string]any{"name": "Ann", "username": "ann"},
		},
		"repository": map[string]any{"clone_url": "https://github.com/acme/shop.git", "ssh_url": "git@github.com:acme/shop.git", "html_url": "https://github.com/acme/shop"},
		"pusher":     map[string]any{"name": "ann"}, "sender": map[string]any{"login": "ann"},
	}
	if change != nil {
		change(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func TestGitHubPushIsNormalised(t *testing.T) {
	zero := strings.Repeat("0", 40)
	a, b := strings.Repeat("a", 40), strings.Repeat("b", 40)
	base := HookEvent{
		Kind: HookPush, Ref: "refs/heads/main", Branch: "main", Before: a, After: b,
		Addresses: []string{"https://github.com/acme/shop.git", "git@github.com:acme/shop.git", "https://github.com/acme/shop"},
		Paths:     []string{"a.go", "b.go", "c.go"}, PathsComplete: true,
		Message: "Fix it", Author: "Ann", Sender: "ann", HTMLURL: "https://github.com/acme/shop/commit/b",
	}
	commits := func(n int) []any {
		var out []any
		for i := range n {
			out = append(out, map[string]any{"id": fmt.Sprintf("%040x", i), "modified": []any{fmt.Sprintf("f%d", i)}})
		}
		out[n-1].(map[string]any)["id"] = b
		return out
	}
	for name, c := range map[string]struct {
		change func(map[string]any)
		want   func(*HookEvent)
	}{
		"a push": {nil, func(*HookEvent) {}},
		"a forced push may have lost files": {func(m map[string]any) { m["forced"] = true },
			func(e *HookEvent) { e.PathsComplete = false }},
		"a new branch may differ in more files": {func(m map[string]any) { m["created"] = true; m["before"] = zero },
			func(e *HookEvent) { e.Before = ""; e.PathsComplete = false }},
		"a list of 20 commits may be cut": {func(m map[string]any) { m["commits"] = commits(20) },
			func(e *HookEvent) {
				e.PathsComplete = false
				e.Paths = nil
				for i := range 20 {
					e.Paths = append(e.Paths, fmt.Sprintf("f%d", i))
				}
			}},
		"a list without the head is cut": {func(m map[string]any) { m["commits"].([]any)[0].(map[string]any)["id"] = a },
			func(e *HookEvent) { e.PathsComplete = false }},
		"a moved branch without commits says nothing of files": {func(m map[string]any) { m["commits"] = []any{} },
			func(e *HookEvent) { e.Paths = nil; e.PathsComplete = false }},
		"an odd commit list costs the files only": {func(m map[string]any) { m["commits"] = "none" },
			func(e *HookEvent) { e.Paths = nil; e.PathsComplete = false }},
		"a deleted branch": {func(m map[string]any) {
			m["deleted"] = true
			m["after"] = zero
			m["head_commit"] = nil
			m["commits"] = []any{}
		},
			func(e *HookEvent) {
				*e = HookEvent{Kind: HookDelete, Ref: e.Ref, Branch: e.Branch, Before: a, Addresses: e.Addresses, Sender: "ann",
					HTMLURL: "https://github.com/acme/shop/compare/a...b", Nothing: "the branch or tag was deleted"}
			}},
		"a push that changes nothing": {func(m map[string]any) { m["before"] = b },
			func(e *HookEvent) {
				e.Before = b
				e.Paths = nil
				e.PathsComplete = false
				e.Nothing = "the push changed nothing"
			}},
		"an annotated tag is its commit": {func(m map[string]any) {
			m["ref"] = "refs/tags/v1.0"
			m["before"] = zero
			m["after"] = strings.Repeat("c", 40)
			m["created"] = true
			m["head_commit"].(map[string]any)["message"] = "[skip ci]"
		}, func(e *HookEvent) {
			e.Kind, e.Ref, e.Branch, e.Tag, e.Before = HookTag, "refs/tags/v1.0", "", "v1.0", ""
			e.Message, e.Paths, e.PathsComplete = "[skip ci]", nil, false
		}},
		"a skip marker in any case": {func(m map[string]any) { m["head_commit"].(map[string]any)["message"] = "Docs [Skip CI]" },
			func(e *HookEvent) {
				e.Message, e.Nothing, e.Paths, e.PathsComplete = "Docs [Skip CI]", "the head commit says [skip ci]", nil, false
			}},
		"a note is neither branch nor tag": {func(m map[string]any) { m["ref"] = "refs/notes/commits" },
			func(e *HookEvent) {
				e.Ref, e.Branch, e.Paths, e.PathsComplete, e.Nothing = "refs/notes/commits", "", nil, false, "the ref is neither a branch nor a tag"
			}},
		"a branch name with shell characters is just a name": {func(m map[string]any) { m["ref"] = "refs/heads/a;{echo,$(id)}`'\"&|<>!" },
			func(e *HookEvent) {
				e.Ref = "refs/heads/a;{echo,$(id)}`'\"&|<>!"
				e.Branch = "a;{echo,$(id)}`'\"&|<>!"
			}},
		"a message with tricks is made plain": {func(m map[string]any) {
			m["head_commit"].(map[string]any)["message"] = "a\x1b[31m\u202Eb\r\nc\x00" + strings.Repeat("x", 9000)
			m["head_commit"].(map[string]any)["url"] = "javascript:alert(1)"
		}, func(e *HookEvent) {
			e.Message = "a[31mb\nc" + strings.Repeat("x", 4096-8)
			e.HTMLURL = "https://github.com/acme/shop/compare/a...b"
		}},
	} {
		want := base
		want.Paths = append([]string(nil), base.Paths...)
		c.want(&want)
		d, err := parseGitHub(http.Header{githubEventHeader: {"push"}, githubDeliveryHeader: {"72d3162e-cc78-11e3-81ab-4c9367dc0958"}}, push(c.change))
		if err != nil || len(d.Events) != 1 {
			t.Errorf("%s: %+v, %v", name, d, err)
			continue
		}
		if diff := cmp.Diff(want, d.Events[0], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if d.ID != "72d3162e-cc78-11e3-81ab-4c9367dc0958" {
			t.Errorf("%s: delivery id %q", name, d.ID)
		}
	}
}

// Security: names that no ref has, ids that are no commits and bodies of other shapes
// are refused, and the answer quotes nothing of them.
func TestGitHubRefusesWhatGitHubNeverSends(t *testing.T) {
	deep := `{"ref":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`
	for name, body := range map[string][]byte{
		"an empty body":         nil,
		"null":                  []byte("null"),
		"an array":              []byte(`[{"ref":"refs/heads/main"}]`),
		"a string":              []byte(`"secret-text"`),
		"deep nesting":          []byte(deep),
		"half a body":           push(nil)[:100],
		"two bodies":            append(push(nil), push(nil)...),
		"no ref":                push(func(m map[string]any) { delete(m, "ref") }),
		"a ref with a space":    push(func(m map[string]any) { m["ref"] = "refs/heads/a b" }),
		"a ref with dots":       push(func(m map[string]any) { m["ref"] = "refs/heads/../../x" }),
		"a ref that is a flag":  push(func(m map[string]any) { m["ref"] = "--upload-pack=secret-text" }),
		"a number for a ref":    push(func(m map[string]any) { m["ref"] = 1 }),
		"a short commit":        push(func(m map[string]any) { m["after"] = "secret-text" }),
		"a form-encoded body":   []byte("payload=%7B%22ref%22%3A%22secret-text%22%7D"),
		"an object for a login": push(func(m map[string]any) { m["sender"] = map[string]any{"login": []any{"secret-text"}} }),
	} {
		d, err := parseGitHub(http.Header{githubEventHeader: {"push"}}, body)
		if err == nil {
			t.Errorf("%s was accepted: %+v", name, d)
		} else if strings.Contains(err.Error(), "secret-text") {
			t.Errorf("%s: the error quotes the body: %v", name, err)
		}
	}
	if _, err := parseGitHub(http.Header{}, push(nil)); err == nil {
		t.Error("a delivery without an event was accepted")
	}
}

func TestGitHubOtherEventsStartNothing(t *testing.T) {
	d, err := parseGitHub(http.Header{githubEventHeader: {"create"}}, []byte(`{}`))
	if err != nil || d.Event != "other" || len(d.Events) != 0 || d.Nothing == "" {
		t.Errorf("create: %+v, %v", d, err)
	}
	d, err = parseGitHub(http.Header{githubEventHeader: {"ping"}}, []byte(`{"zen":"x","hook_id":1}`))
	if err != nil || len(d.Events) != 1 || d.Events[0].Kind != HookPing || d.Events[0].Nothing == "" {
		t.Errorf("ping: %+v, %v", d, err)
	}
}

func TestLongPathListsAreIncomplete(t *testing.T) {
	for name, paths := range map[string][]string{
		"too many":     make([]string, maxPaths+1),
		"too long":     {strings.Repeat("x", maxPath+1)},
		"no UTF-8":     {"a\xff"},
		"many bytes":   {strings.Repeat("a", 1000)},
		"an empty one": {""},
	} {
		var p pathSet
		for i, s := range paths {
			if name == "too many" {
				s = fmt.Sprint(i)
			}
			if name == "many bytes" {
				for j := range 70 {
					p.add(fmt.Sprint(j) + s)
				}
			}
			p.add(s)
		}
		if !p.full || len(p.list) > maxPaths {
			t.Errorf("%s: full = %v with %d paths", name, p.full, len(p.list))
		}
	}
}

func TestSkipMarkers(t *testing.T) {
	for message, want := range map[string]string{
		"Fix":                              "",
		"Fix [skip ci]":                    "[skip ci]",
		"Fix\n\n[CI Skip] see below":       "[ci skip]",
		"[no ci] x":                        "[no ci]",
		"x [skip actions]":                 "[skip actions]",
		"x [actions skip]":                 "[actions skip]",
		"Fix\n\nBody\n\nskip-checks: true": "skip-checks: true",
		"Fix\r\n\r\nBody\r\n\r\nskip-checks:true": "skip-checks: true",
		"skip-checks: true":                       "", // a subject is no trailer
		"Fix\n\nskip-checks: true\n\nMore":        "",
		"Speak of skip ci":                        "",
	} {
		if got := skipMarker(message); got != want {
			t.Errorf("skipMarker(%q) = %q, want %q", message, got, want)
		}
	}
}

func TestGitHubSamplesOfTheLibrary(t *testing.T) {
	for name, body := range samples.Library(t, "github") {
		for _, event := range []string{"push", "ping"} {
			d, err := parseGitHub(http.Header{githubEventHeader: {event}}, body)
			if name == event && (err != nil || len(d.Events) != 1) {
				t.Errorf("%s: %+v, %v", name, d, err)
			}
		}
	}
}

// seeds gives a fuzz target the library's samples of a host, each under every event.
func seeds(f *testing.F, dir string, events []string) {
	for _, body := range samples.Library(f, dir) {
		for _, event := range events {
			f.Add(event, body)
		}
	}
}

// checkDelivery is what is true of everything that a sender understands.
func checkDelivery(t *testing.T, d Delivery, err error) {
	t.Helper()
	if d.ID == "" {
		t.Errorf("a delivery without an id: %+v", d)
	}
	if err != nil {
		return
	}
	if len(d.Events) == 0 && d.Nothing == "" {
		t.Errorf("a delivery that starts nothing and does not say why: %+v", d)
	}
	for _, e := range d.Events {
		if e.Nothing != "" {
			continue
		}
		named := e.Branch != "" && e.Tag == "" || e.Kind == HookTag && e.Branch == "" && e.Tag != ""
		commit := isCommit(e.After) || e.After == "" && (e.Kind == HookTag || e.Kind == HookPullRequest && e.Key != "")
		pull := (e.Kind == HookPullRequest) == (e.PullRequest != nil)
		if e.Kind == HookPing || !named || !commit || !pull || checkRef(e.Ref) != nil || !strings.HasPrefix(e.Ref, "refs/") || len(e.Paths) > maxPaths {
			t.Errorf("an event that starts runs is not whole: %+v", e)
		}
	}
}

func FuzzParseGitHub(f *testing.F) {
	seeds(f, "github", githubEvents())
	for _, s := range samples.Octokit(f) {
		if s.Host == "api.github.com" && slices.Contains(githubEvents(), s.Event) {
			f.Add(s.Event, s.Body)
		}
	}
	f.Add("push", push(nil))
	f.Add("pull_request", githubPullBody(nil))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		d, err := parseGitHub(http.Header{githubEventHeader: {event}}, body)
		checkDelivery(t, d, err)
	})
}
