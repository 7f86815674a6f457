package jenkinstest

import (
	"bytes"
	"encoding/json"
	"html"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
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
			i := bytes.IndexAny(b.log[end:], "\r\n")
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
//
// A client that accepts multipart/form-data is sent the text as one part and what the headers would say as another, from the core that
// knows it on. There, as in progressiveText, the end is the size of the whole log although the text stops at a line.
func (b *build) serveLog(w http.ResponseWriter, r *http.Request, asHTML bool) {
	start := int64(0)
	if text := r.FormValue("start"); text != "" {
		var err error
		if start, err = strconv.ParseInt(text, 10, 64); err != nil {
			oops(w, "java.lang.NumberFormatException: For input string: \""+text+"\"")
			return
		}
	}
	text, from, end, size, more := b.snapshotLog(start)
	ctype, annotator := "text/plain;charset=UTF-8", ""
	switch {
	case asHTML:
		ctype, annotator = "text/html;charset=UTF-8", "rO0ABX"
		text = toHTML(text)
	case b.s.opts.oldLog():
		text = consoleNote.ReplaceAll(text, nil)
	default:
		end = size
	}
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	if b.s.opts.since(multipartLog) && strings.Contains(r.Header.Get("Accept"), "multipart/form-data") {
		meta := map[string]any{"completed": !more, "start": from, "end": size}
		if annotator != "" {
			meta["consoleAnnotator"] = annotator
		}
		sendParts(w, ctype, text, meta)
		return
	}
	w.Header().Set("Content-Type", ctype)
	if annotator != "" {
		w.Header().Set("X-ConsoleAnnotator", annotator)
	}
	w.Header().Set("X-Text-Size", strconv.FormatInt(end, 10))
	if more {
		w.Header().Set("X-More-Data", "true")
	}
	_, _ = w.Write(text)
}

// multipartLog is the core, 2.x, that may send logs in parts.
const multipartLog = 534

func sendParts(w http.ResponseWriter, ctype string, text []byte, meta any) {
	parts := multipart.NewWriter(w)
	w.Header().Set("Content-Type", parts.FormDataContentType())
	body, _ := json.Marshal(meta)
	for _, p := range []struct {
		name, ctype string
		body        []byte
	}{{"text", ctype, text}, {"meta", "application/json;charset=utf-8", body}} {
		part, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="` + p.name + `"`}, "Content-Type": {p.ctype},
		})
		if err == nil {
			_, _ = part.Write(p.body)
		}
	}
	_ = parts.Close()
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
