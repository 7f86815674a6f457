package hook

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func FuzzHandler(f *testing.F) {
	fx := newFixture(f)
	f.Add("push", guid, push(nil))
	f.Add("ping", "", []byte(`{"zen":1}`))
	f.Add("push", "x", []byte(`{"ref":"refs/heads/main","after":"`+strings.Repeat("b", 40)+`","repository":{"clone_url":"https://github.com/acme/shop"}}`))
	f.Fuzz(func(t *testing.T, event, id string, body []byte) {
		r := request(body, shopKey)
		r.Header.Set("X-GitHub-Event", event)
		r.Header.Set("X-GitHub-Delivery", id)
		w := httptest.NewRecorder()
		fx.h.ServeHTTP(w, r)
		switch w.Code {
		case 200, 202, 422, 429: // the last since a fuzzer is faster than any host
		default:
			t.Errorf("an authentic delivery got %d: %s", w.Code, w.Body)
		}
	})
}
