package hook

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Security: whoever captured a delivery can change its id, which is not signed.
func TestReplayUnderAnotherIDStartsNothingNew(t *testing.T) {
	f := newFixture(t)
	f.send(request(push(nil), shopKey))
	r := request(push(nil), shopKey)
	r.Header.Set("X-GitHub-Delivery", "another-delivery-id")
	if code, a, _ := f.send(r); code != http.StatusOK || len(f.runs()) != 1 || a.DeliveryID != guid {
		t.Errorf("status %d, %+v, runs %v", code, a, f.runs())
	}
}

// Security: nothing without a right signature gets anywhere.
func TestWrongSignaturesAreUnauthorized(t *testing.T) {
	f := newFixture(t)
	for name, change := range map[string]func(r *http.Request){
		"another key":  func(r *http.Request) { *r = *request(push(nil), "the key of some other repository") },
		"no signature": func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") },
		"SHA-1":        func(r *http.Request) { r.Header.Del("X-Hub-Signature-256"); r.Header.Set("X-Hub-Signature", "sha1=00") },
		"another body": func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(`{"ref":"refs/heads/x"}`))
			r.ContentLength = -1
		},
		"an unknown event": func(r *http.Request) {
			r.Header.Set("X-Hub-Signature-256", "sha256=00")
			r.Header.Set("X-GitHub-Event", "x")
		},
		"an undecodable": func(r *http.Request) {
			r.Header.Set("X-Hub-Signature-256", "sha256=00")
			r.Body = io.NopCloser(strings.NewReader("{"))
			r.ContentLength = 1
		},
		"GitLab's token":    func(r *http.Request) { r.Header.Del("X-Hub-Signature-256"); r.Header.Set("X-Gitlab-Token", shopKey) },
		"a panicking short": func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "s") },
	} {
		r := request(push(nil), shopKey)
		change(r)
		if code, a, _ := f.send(r); code != http.StatusUnauthorized || a.Error != "the signature is missing or wrong" {
			t.Errorf("%s: %d, %+v, want 401 and no more than that", name, code, a)
		}
	}
	if n := len(f.runs()); n != 0 {
		t.Errorf("runs %v", f.runs())
	}
}

// Security: closed without a secret, and with an empty or a short one.
func TestWithoutAUsableSecretNothingIsAccepted(t *testing.T) {
	for name, data := range map[string]map[string]string{
		"no key":        {"other": shopKey},
		"an empty one":  {"secret": ""},
		"a short one":   {"secret": "short"},
		"a line break":  {"secret": "\n"},
		"a prefix only": {"secretive": shopKey},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.api.put(t, "secrets", secret("shop-hook", data))
			for _, v := range data {
				code, a, h := f.send(request(push(nil), strings.TrimSpace(v)))
				if code != http.StatusServiceUnavailable || h.Get("Retry-After") == "" || len(f.runs()) != 0 {
					t.Errorf("%d, %+v", code, a)
				}
			}
		})
	}
	t.Run("no Secret", func(t *testing.T) {
		f := newFixture(t)
		repo := shop()
		repo.Spec.Webhook.SecretRef.Name = "nothing"
		f.api.put(t, "sourcecoderepositories", repo)
		eventually(t, "it is closed", func() bool {
			code, _, _ := f.send(request(push(nil), ""))
			return code == http.StatusServiceUnavailable
		})
		before := f.gets("nothing")
		for range 50 {
			f.send(request(push(nil), ""))
		}
		if n := f.gets("nothing") - before; n > 1 {
			t.Errorf("a flood asked the API server %d times for a Secret that is not there", n)
		}
	})
}

// Security: keys are rotated without a restart and without a gap.
func TestKeysAreRotated(t *testing.T) {
	f := newFixture(t)
	next := "the next key that signs deliveries"
	send := func(key, id string) int {
		r := request(push(func(m map[string]any) { m["compare"] = id }), key)
		r.Header.Set("X-GitHub-Delivery", id)
		code, _, _ := f.send(r)
		return code
	}
	if code := send(shopKey, "delivery-1"); code != 202 {
		t.Fatalf("the old key: %d", code)
	}
	f.api.put(t, "secrets", secret("shop-hook", map[string]string{"secret": shopKey, "secret-next": next + "\n"}))
	f.advance(RotationDelay)
	for i, key := range []string{next, shopKey} {
		if code := send(key, fmt.Sprint("delivery-2", i)); code != 202 {
			t.Errorf("key %d of two: %d", i, code)
		}
	}
	f.api.put(t, "secrets", secret("shop-hook", map[string]string{"secret": next}))
	f.advance(SecretTTL)
	if code := send(shopKey, "delivery-3"); code != 401 {
		t.Errorf("the old key after its removal: %d", code)
	}
}

// Security: headers do not choose how a delivery is read; the address does.
func TestProviderComesFromTheRepository(t *testing.T) {
	f := newFixture(t)
	f.api.put(t, "sourcecodeproviders", &v1alpha1.SourceCodeProvider{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "github"},
		Spec:       v1alpha1.SourceCodeProviderSpec{Type: v1alpha1.ProviderGitLab, URL: "https://gitlab.com"},
	})
	eventually(t, "GitHub's headers are nothing to a GitLab repository", func() bool {
		code, _, _ := f.send(request(push(nil), shopKey))
		return code == http.StatusUnauthorized
	})
}
