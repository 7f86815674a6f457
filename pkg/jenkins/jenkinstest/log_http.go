package jenkinstest

import (
	"bytes"
	"html"
	"net/http"
	"regexp"
	"strconv"
)

var consoleNote = regexp.MustCompile("\x1b\\[8mha:[A-Za-z0-9+/=]*\x1b\\[0m")

const lineCap = 10_000 // lines of a running build in one answer

// snapshotLog copies the log from start on. Of a running build only whole lines, and not too many, are ready to be sent.
func (b *build) snapshotLog(start int64) (ready []byte, from, end, size int64, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	size, more = int64(len(b.log)), !b.over
	if start < 0 || start > size {
		start = 0
	}
	end = size
	if more {
		end = start
		for range lineCap {
			i := bytes.IndexByte(b.log[end:], '\n')
			if i < 0 {
				break
			}
			end += int64(i) + 1
		}
	}
	return bytes.Clone(b.log[start:end]), start, end, size, more
}

// serveLog answers progressiveText and progressiveHtml.
//
//	                      X-Text-Size              notes
//	progressiveHtml       end of what was sent     as markup
//	progressiveText old   end of what was sent     removed
//	progressiveText new   size of the whole log    as they are
func (b *build) serveLog(w http.ResponseWriter, r *http.Request, asHTML bool) {
	start, _ := strconv.ParseInt(r.FormValue("start"), 10, 64)
	text, _, end, size, more := b.snapshotLog(start)
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	switch {
	case asHTML:
		w.Header().Set("Content-Type", "text/html;charset=UTF-8")
		w.Header().Set("X-ConsoleAnnotator", "rO0ABX")
		text = toHTML(text)
	case b.s.opts.oldLog():
		text = consoleNote.ReplaceAll(text, nil)
	default:
		end = size
	}
	w.Header().Set("X-Text-Size", strconv.FormatInt(end, 10))
	if more {
		w.Header().Set("X-More-Data", "true")
	}
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	_, _ = w.Write(text)
}

func (b *build) serveConsole(w http.ResponseWriter) {
	b.mu.Lock()
	text := consoleNote.ReplaceAll(b.log, nil)
	b.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	_, _ = w.Write(text)
}

var link = regexp.MustCompile(`https?://[^\s<>"&]+`)

// toHTML escapes a log and turns notes and links into markup, as console annotators do.
func toHTML(text []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		noted := consoleNote.Match(line)
		escaped := []byte(html.EscapeString(string(consoleNote.ReplaceAll(line, nil))))
		escaped = link.ReplaceAll(escaped, []byte("<a href='$0'>$0</a>"))
		if noted {
			body, nl := bytes.CutSuffix(escaped, []byte("\n"))
			out.WriteString(`<span class="pipeline-new-node" nodeId="3" enclosingId="2">`)
			out.Write(body)
			out.WriteString("</span>")
			if nl {
				out.WriteByte('\n')
			}
			continue
		}
		out.Write(escaped)
	}
	return out.Bytes()
}
