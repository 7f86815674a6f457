package jenkinstest

import (
	"fmt"
	"html"
	"net/http"
	"strconv"
)

const (
	maxFlowNodes = 100      // that a stage lists
	maxNodeLog   = 10 << 10 // bytes, the last, of a step's log in wfapi
)

// routeNode answers execution/node/ID/{wfapi/describe,wfapi/log,log}. A node that is not there, or whose execution is gone, is 404.
func (s *Server) routeNode(w http.ResponseWriter, b *build, id, sub string) {
	number, err := strconv.Atoi(id)
	b.mu.Lock()
	n, st := b.findNode(number)
	if b.killed || err != nil {
		n, st = nil, nil
	}
	var doc any
	var log []byte
	switch {
	case n == nil && st == nil:
	case sub == "wfapi/describe" && st != nil:
		doc = s.stageExt(b, st, true)
	case sub == "wfapi/describe":
		doc = s.nodeExt(b, n)
	case sub == "wfapi/log":
		doc = s.nodeLogExt(b, n, st)
	case sub == "log" && n != nil:
		log = b.nodeLog(n)
	default:
		n, st = nil, nil
	}
	b.mu.Unlock()
	switch {
	case n == nil && st == nil, doc != nil && s.opts.NoStageREST:
		notFound(w)
	case doc != nil:
		serveJSON(w, doc)
	default:
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		_, _ = fmt.Fprintf(w, "<!DOCTYPE html><html><head><title>%s [Jenkins]</title></head><body><pre class=\"console-output\">%s</pre></body></html>\n",
			html.EscapeString(b.jobName), toHTML(log))
	}
}

// nodeStatus is what a single step is called: without an error it is a success, even while it runs.
func nodeStatus(err error) string {
	switch {
	case err == nil:
		return "SUCCESS"
	case isInterrupted(err):
		return "ABORTED"
	}
	return "FAILED"
}

func (s *Server) nodeExt(b *build, n *flowNode) any {
	self := fmt.Sprintf("%s/%sexecution/node/%d/", s.opts.ContextPath, b.path(), n.id)
	l := links("self", self+"wfapi/describe")
	if len(n.spans) > 0 {
		l["log"], l["console"] = href(self+"wfapi/log"), href(self+"log")
	}
	end := n.end
	if end.IsZero() {
		end = s.clock.Now()
	}
	m := map[string]any{
		"_links": l, "id": strconv.Itoa(n.id), "name": n.name, "execNode": n.exec, "status": nodeStatus(n.err),
		"startTimeMillis": n.start.UnixMilli(), "durationMillis": end.Sub(n.start).Milliseconds(), "pauseDurationMillis": 0,
		"parentNodes": []string{strconv.Itoa(n.parent)},
	}
	if n.description != "" {
		m["parameterDescription"] = n.description
	}
	addError(m, n.err)
	return m
}

func addError(m map[string]any, err error) {
	if err != nil {
		class, msg := classOf(err)
		m["error"] = map[string]any{"message": msg, "type": class}
	}
}

func (s *Server) nodeLogExt(b *build, n *flowNode, st *stageNode) any {
	if n == nil {
		return map[string]any{"nodeId": strconv.Itoa(st.id), "nodeStatus": nodeStatus(st.err), "length": 0, "hasMore": false, "consoleUrl": nil}
	}
	log := b.nodeLog(n)
	tail := log[max(0, len(log)-maxNodeLog):]
	m := map[string]any{
		"nodeId": strconv.Itoa(n.id), "nodeStatus": nodeStatus(n.err), "length": len(tail), "hasMore": len(tail) < len(log), "consoleUrl": nil,
	}
	if len(log) > 0 {
		m["text"] = string(toHTML(tail))
		m["consoleUrl"] = fmt.Sprintf("%s/%sexecution/node/%d/log", s.opts.ContextPath, b.path(), n.id)
	}
	return m
}
