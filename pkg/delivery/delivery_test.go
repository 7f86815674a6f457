package delivery

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Security: the delivery id comes in a header that is not signed.
func TestDeliveryIDIsPlainOrMadeFromTheBody(t *testing.T) {
	a, b := []byte("a"), []byte("b")
	if got := ID("72d3162e-cc78", a); got != "72d3162e-cc78" {
		t.Errorf("a plain id became %q", got)
	}
	for _, odd := range []string{"", "short", "with space in it", "new\nline-in-it", strings.Repeat("x", 200), "ünïcödé-id"} {
		id := ID(odd, a)
		if id != ID(odd, a) || id == ID(odd, b) || !strings.HasPrefix(id, "body-") {
			t.Errorf("id of %q = %q, want one of the body", odd, id)
		}
	}
}

func TestKeys(t *testing.T) {
	data := map[string][]byte{"secret": []byte("one\n"), "secret-new": []byte("two"), "secrets": []byte("other"), "token": []byte("three")}
	for name, want := range map[string][]string{"secret": {"one", "two"}, "token": {"three"}, "none": nil} {
		var got []string
		for _, k := range Keys(data, name) {
			got = append(got, string(k))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("key %q (-want +got)\n%s", name, diff)
		}
	}
}

// Security: tokens are compared as a whole, with every key, and an empty one is none.
func TestVerifyToken(t *testing.T) {
	key, old := []byte("0123456789abcdef0123456789abcdef"), []byte("an older one that is accepted")
	for name, c := range map[string]struct {
		keys  [][]byte
		token string
		want  error
	}{
		"the token":        {[][]byte{old, key}, string(key), nil},
		"an older one":     {[][]byte{old, key}, string(old), nil},
		"another":          {[][]byte{old, key}, "another token of some length", ErrSignature},
		"its beginning":    {[][]byte{key}, string(key[:20]), ErrSignature},
		"none":             {[][]byte{key}, "", ErrSignature},
		"no key":           {nil, "", ErrNoKey},
		"an empty key":     {[][]byte{{}}, "", ErrNoKey},
		"a short key":      {[][]byte{[]byte("short")}, "short", ErrNoKey},
		"a short key also": {[][]byte{[]byte("short"), key}, "short", ErrSignature},
	} {
		if err := VerifyToken(c.keys, c.token); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestTextIsFitToBeShown(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", " a\x1b[31m\u202Eb\r\nc\x00 ": "a[31mb\nc", "a\xff\xfeb": "ab", "abcdefghijkl": "abcdefghij", "ä\u200fé": "äé",
	} {
		if got := Text(in, 10, true); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Text("a\nb", 10, false); got != "ab" {
		t.Errorf("one line: %q", got)
	}
	for in, want := range map[string]string{
		"https://h/a?b=c": "https://h/a?b=c", "javascript:alert(1)": "", "https://u:p@h/": "", "file:///etc": "", "": "", "https:///x": "", "http://[::1": "",
	} {
		if got := URL(in); got != want {
			t.Errorf("URL(%q) = %q, want %q", in, got, want)
		}
	}
}

// Security: what no host sends is refused before it costs time and stack.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `null`, ` {"a":[{"b":"\\\"["}]}`, strings.Repeat(`{"a":`, 70)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := Decode[map[string]any]("anybody", body)
		if err == nil && v == nil {
			t.Error("neither a value nor an error")
		}
	})
}
