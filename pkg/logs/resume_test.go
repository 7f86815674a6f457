package logs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// readSome reads at most n bytes of a log into w, then breaks the connection. It tells
// whether that was all.
func readSome(t *testing.T, url string, n int64, w io.Writer) (complete bool, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set(HeaderToken, goodToken)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		return false, fmt.Errorf("answer is %d %s", resp.StatusCode, body)
	}
	if _, err := io.CopyN(w, resp.Body, n); err != nil {
		if errors.Is(err, io.EOF) && resp.Trailer.Get(TrailerComplete) == "true" {
			return true, nil
		}
		return false, fmt.Errorf("%w; trailers %v", err, resp.Trailer)
	}
	return false, nil
}

func TestReaderGoesOnFromAnOffset(t *testing.T) {
	const text = "Grüße 世界\nsecond line\n"
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	for name, tc := range map[string]struct {
		query     string
		status    int
		body      string
		complete  string // the trailer
		unstarted bool   // the answer begins before the log is known
	}{
		"of nothing":                       {query: "offset=0&sum=" + sum(""), status: 200, body: text, complete: "true"},
		"in the middle of a character":     {query: "offset=3&sum=" + sum(text[:3]), status: 200, body: text[3:], complete: "true"},
		"without a sum":                    {query: "offset=7", status: 200, body: text[7:], complete: "true"},
		"of all":                           {query: fmt.Sprintf("offset=%d&sum=%s", len(text), sum(text)), status: 200, body: "", complete: "true"},
		"of all, when it does not follow":  {query: fmt.Sprintf("follow=false&offset=%d", len(text)), status: 200, body: "", complete: "true"},
		"that is not in the log":           {query: fmt.Sprintf("offset=%d", len(text)+1), status: 412, body: "Jenkins lost a part of it"},
		"whose beginning is another":       {query: "offset=3&sum=" + sum("abc"), status: 412, body: "the log is no longer what was read of it before"},
		"whose beginning is another, late": {query: "follow=true&offset=3&sum=" + sum("abc"), status: 200, complete: "false", unstarted: true},
		"that is no number":                {query: "offset=end", status: 400, body: `offset is \"end\", want a number of bytes`},
		"that is before the log":           {query: "offset=-1", status: 400, body: "want a number of bytes"},
		"with a sum that is none":          {query: "offset=1&sum=ABC", status: 400, body: "want a SHA-256 in lower case hex"},
		"with a sum of another case":       {query: "offset=3&sum=" + strings.ToUpper(sum(text[:3])), status: 400, body: "lower case"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAPIServer(t)
			api.set("app-1", running)
			if tc.unstarted {
				api.set("app-1", queued)
				api.onGet = func(n int64) {
					if n == 2 {
						api.set("app-1", running)
					}
				}
			}
			got := get(t, serve(t, api, &sequence{{text: text}})+"/logs/shop/app-1?"+tc.query, goodToken)
			exact := got.body == tc.body
			if tc.status != http.StatusOK {
				exact = strings.Contains(got.body, tc.body)
			}
			if got.status != tc.status || !exact || got.trailer.Get(TrailerComplete) != tc.complete {
				t.Errorf("answer is %d %q, trailers %v; want %d %q, %s", got.status, got.body, got.trailer, tc.status, tc.body, tc.complete)
			}
			if tc.unstarted && got.trailer.Get(TrailerError) != errChanged.Error() {
				t.Errorf("trailers are %v, want %q", got.trailer, errChanged)
			}
		})
	}
}

// FuzzResume: whatever pieces a log comes in, the reader gets what it has not got.
func FuzzResume(f *testing.F) {
	f.Add([]byte("hello world"), uint16(5), []byte{2}, false)
	f.Add([]byte(""), uint16(0), []byte{0}, true)
	f.Fuzz(func(t *testing.T, log []byte, offset uint16, cuts []byte, other bool) {
		from := min(int(offset), len(log))
		begin := log[:from]
		if other = other && from > 0; other {
			begin = bytes.Clone(begin)
			begin[from-1] ^= 1
		}
		var out bytes.Buffer
		r := newResume(&out, int64(from), fmt.Sprintf("%x", sha256.Sum256(begin)))
		var err error
		for i, p := 0, log; len(p) > 0 && err == nil; i++ {
			n := len(p)
			if len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)])+1)
			}
			_, err = r.Write(p[:n])
			p = p[n:]
		}
		switch {
		case other:
			if err == nil || out.Len() > 0 {
				t.Errorf("error %v after %q, want one before anything is sent", err, out.Bytes())
			}
		case err != nil || r.end() != nil || !bytes.Equal(out.Bytes(), log[from:]):
			t.Errorf("sent %q (error: %v), want %q", out.Bytes(), err, log[from:])
		}
	})
}
