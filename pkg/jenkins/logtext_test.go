package jenkins

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// However the markup of a log is cut, the text is the same, and so is its rest for a reader who has its beginning.
func FuzzLogText(f *testing.F) {
	for _, seed := range []string{
		"plain\r\n", "a &lt;b&gt; &amp;amp; &#39;c&#39;\r\n", "<span class=\"x\">[Pipeline] sh</span>\r\n", "<a href='http://x/it's'>http://x/it&#39;s</a>",
		"&", "&unended", "<", "\r", "\r\r\n", "&#x1F680;", "&nosuchentitywithalongname;", "世界", "\xf0\x9f", "&#xD800;", "a\x00b",
	} {
		f.Add([]byte(seed), []byte{3}, int64(0))
		f.Add([]byte(seed), []byte{0, 2, 1, 0, 5}, int64(2))
	}
	f.Fuzz(func(t *testing.T, markup, cuts []byte, skip int64) {
		whole, lines := render(t, markup, nil, 0)
		if want := int64(strings.Count(whole, "\n") + strings.Count(whole, "\r")); lines != want {
			t.Errorf("counted %d lines, want %d", lines, want)
		}
		cut, _ := render(t, markup, cuts, 0)
		if diff := cmp.Diff(whole, cut); diff != "" {
			t.Errorf("cut at %v (-whole +cut):\n%s", cuts, diff)
		}
		if skip >= 0 && skip <= int64(len(whole)) {
			rest, again := render(t, markup, cuts, skip)
			if diff := cmp.Diff(whole[skip:], rest); diff != "" {
				t.Errorf("skip %d (-want +got):\n%s", skip, diff)
			}
			if again != lines {
				t.Errorf("counted %d lines with skip %d, want %d", again, skip, lines)
			}
		}
	})
}

// What Jenkins makes of a step's output, we make the output of again, wherever the connection cuts it.
func FuzzLogRoundTrip(f *testing.F) {
	for _, seed := range []string{
		"plain\n", "<b>bold</b> & \"quotes\" 'single' &amp; &lt;\n", "https://example.org/a?b=c&d='e'\n", "\x1b[31mred\x1b[0m\n", "世界 🚀 é\n",
		"\x1b[8mha:////AAAA\x1b[0mnoted\n", "progress 10%\rprogress 20%\r\n", "\r\r\n\n\r", "no newline", "\x1b[8mha:", "\x1b[8mha:\x1b[0m\x1b[8mha:a=\x1b[0m",
	} {
		f.Add([]byte(seed), []byte{2, 0, 7})
	}
	f.Fuzz(func(t *testing.T, output, cuts []byte) {
		want := strings.ReplaceAll(string(note.ReplaceAll(output, nil)), "\r\n", "\n") // Jenkins does not tell these two apart
		if note.MatchString(want) {
			t.Skip("only there once a note was taken out")
		}
		got, _ := render(t, markupOf(output), cuts, 0)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("text (-want +got):\n%s", diff)
		}
	})
}

// growingLog is a Jenkins whose log grows with each request, and whose answers break off.
type growingLog struct {
	log    []byte
	grow   []byte // by how much, in turn
	breaks []byte // after so many bytes, in turn; 0: not at all
	size   int    // how much there is
	asked  int
}

func (g *growingLog) RoundTrip(r *http.Request) (*http.Response, error) {
	more := g.size < len(g.log)
	if by := 1; more {
		if len(g.grow) > 0 {
			by += int(g.grow[g.asked%len(g.grow)])
		}
		g.size = min(g.size+by, len(g.log))
	}
	start, err := strconv.Atoi(r.URL.Query().Get("start"))
	if err != nil {
		return nil, err
	}
	end := g.size
	if more { // what is written after this answer began is for the next
		end = start + bytes.LastIndexAny(g.log[start:g.size], "\r\n") + 1
	}
	body := io.Reader(bytes.NewReader(markupOf(g.log[start:end])))
	if n := len(g.breaks); n > 0 && g.breaks[g.asked%n] > 0 && g.asked < 100 {
		body = io.MultiReader(io.LimitReader(body, int64(g.breaks[g.asked%n])), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	g.asked++
	h := http.Header{"X-Text-Size": {strconv.Itoa(end)}, "X-Jenkins-Session": {"s"}}
	if more {
		h.Set("X-More-Data", "true")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(body), Request: r}, nil
}

// However a log grows and however answers break off, what is read of it is what a single answer would bring.
func FuzzLogThatGrows(f *testing.F) {
	f.Add([]byte("one\r\ntwo\nthree\r\r\nfour\rfive\r\n\n\r"), []byte{0}, []byte{0})
	f.Add([]byte("a <b> & c\r\n\x1b[8mha:AAAA\x1b[0mnoted \xf0\x9f\x9a\x80\r\nend"), []byte{0, 1, 2}, []byte{3, 0, 7, 0})
	f.Fuzz(func(t *testing.T, log, grow, breaks []byte) {
		if len(log) > 2000 || bytes.Contains(note.ReplaceAll(log, []byte{'-'}), []byte("\x1b[8m")) || note.Match(note.ReplaceAll(log, nil)) {
			t.Skip("a note that is none, or spans lines")
		}
		jenkins := &growingLog{log: log, grow: grow, breaks: breaks}
		c, err := New(Config{BaseURL: "http://jenkins.example", Transport: jenkins})
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		read := LogRead{More: true}
		for read.More {
			if jenkins.asked > 3*len(log)+300 {
				t.Fatalf("%d requests, and no end", jenkins.asked)
			}
			if read, err = c.Log(t.Context(), JobRef{Name: "j"}, 1, read.Next, &got); err != nil {
				if !IsTemporary(err) {
					t.Fatal(err)
				}
				read.More = true
			}
		}
		want, _ := render(t, markupOf(log), nil, 0)
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Errorf("text (-want +got):\n%s", diff)
		}
	})
}

var (
	note = regexp.MustCompile("\x1b\\[8mha:[A-Za-z0-9+/=]*\x1b\\[0m")
	link = regexp.MustCompile(`https?://[^\s<>"&]+`)
)

// markupOf is what progressiveHtml sends of a log: notes become markup, links are made, line ends CRLF.
func markupOf(log []byte) []byte {
	var b strings.Builder
	for line := range strings.Lines(string(log)) {
		text, ended := strings.CutSuffix(line, "\n")
		shown := note.ReplaceAllString(text, "")
		if ended {
			shown = strings.TrimSuffix(shown, "\r")
		}
		marked := link.ReplaceAllString(html.EscapeString(shown), "<a href='$0'>$0</a>") // an apostrophe stays as it is
		if note.MatchString(text) {
			marked = `<span class="pipeline-new-node" nodeId="3" enclosingId="2">` + marked + "</span>"
		}
		b.WriteString(marked)
		if ended {
			b.WriteString("\r\n")
		}
	}
	return []byte(b.String())
}

// render decodes markup in pieces, of which each byte of cuts, in turn, is the length less one. It returns the text and its lines.
func render(t testing.TB, markup, cuts []byte, skip int64) (text string, lines int64) {
	t.Helper()
	var out bytes.Buffer
	w := &textWriter{w: &out, skip: skip}
	for i := 0; len(markup) > 0; i++ {
		n := len(markup)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])+1)
		}
		if err := w.write(markup[:n]); err != nil {
			t.Fatal(err)
		}
		markup = markup[n:]
	}
	if held, err := w.flush(false); err != nil || held > 0 {
		t.Fatal(held, err)
	}
	if w.written != int64(out.Len()) {
		t.Errorf("counted %d bytes of %d", w.written, out.Len())
	}
	return out.String(), w.lines
}

func BenchmarkLogText(b *testing.B) {
	markup := markupOf([]byte(strings.Repeat("a line of <b>log</b> & more 世界\n", 1000)))
	b.SetBytes(int64(len(markup)))
	for b.Loop() {
		w := &textWriter{w: io.Discard}
		if err := w.write(markup); err != nil {
			b.Fatal(err)
		}
	}
}
