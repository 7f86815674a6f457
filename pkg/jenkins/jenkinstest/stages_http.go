package jenkinstest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// status of a stage in wfapi's words. Called with the build's lock held.
func (b *build) stageStatus(st *stageNode) string {
	switch {
	case st.end.IsZero() && b.over:
		return "ABORTED"
	case st.end.IsZero():
		for _, in := range b.openInputs() {
			if in.stage.within(st) {
				return "PAUSED_PENDING_INPUT"
			}
		}
		return "IN_PROGRESS"
	case st.err == nil:
		return "SUCCESS"
	case isInterrupted(st.err):
		return "ABORTED"
	}
	return "FAILED"
}

func (b *build) runStatus() string {
	switch {
	case b.killed, len(b.log) == 0:
		return "NOT_EXECUTED"
	case len(b.openInputs()) > 0:
		return "PAUSED_PENDING_INPUT"
	case !b.over:
		return "IN_PROGRESS"
	case b.result == "FAILURE":
		return "FAILED"
	case b.result == "NOT_BUILT":
		return "NOT_EXECUTED"
	}
	return b.result
}

func (st *stageNode) duration(now time.Time) int64 {
	if st.end.IsZero() {
		return now.Sub(st.start).Milliseconds()
	}
	return st.end.Sub(st.start).Milliseconds()
}

// serveRuns answers job/wfapi/runs: the newest ten, or those down to ?since=#N.
func (s *Server) serveRuns(w http.ResponseWriter, r *http.Request, it *item, segs []string) {
	if s.opts.NoStageREST || it.def.kind != classJob || len(segs) != 1 || segs[0] != "runs" {
		notFound(w)
		return
	}
	since, full := r.FormValue("since"), r.FormValue("fullStages") == "true"
	s.mu.Lock()
	runs := []any{}
	for i := len(it.builds) - 1; i >= 0 && len(runs) < maxRuns; i-- {
		b := it.builds[i]
		runs = append(runs, s.runExt(b, full))
		if since == fmt.Sprintf("#%d", b.number) {
			break
		}
	}
	s.mu.Unlock()
	serveJSON(w, runs)
}

const maxRuns = 10 // that wfapi/runs lists

// serveRun answers build/wfapi/….
func (s *Server) serveRun(w http.ResponseWriter, r *http.Request, b *build, verb, user string) {
	if s.opts.NoStageREST || b.job.def.kind != classJob {
		notFound(w)
		return
	}
	switch verb {
	case "", "describe":
		serveJSON(w, s.runExt(b, r.FormValue("fullStages") == "true"))
	case "pendingInputActions":
		serveJSON(w, s.inputActions(b))
	case "nextPendingInputAction":
		if all := s.inputActions(b); len(all) > 0 {
			serveJSON(w, all[0])
			return
		}
		serveJSON(w, nil)
	case "inputSubmit":
		s.submitInput(w, r, b, user)
	case "changesets", "artifacts":
		serveJSON(w, []any{})
	default:
		notFound(w)
	}
}

func (s *Server) runExt(b *build, full bool) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, self := s.clock.Now(), s.opts.ContextPath+"/"+b.path()+"wfapi/"
	stages := []any{}
	if !b.killed {
		for _, st := range b.stages {
			stages = append(stages, s.stageExt(b, st, full))
		}
	}
	end := b.end
	if !b.over {
		end = now
	}
	l := links("self", self+"describe")
	if len(b.openInputs()) > 0 {
		l["pendingInputActions"], l["nextPendingInputAction"] = href(self+"pendingInputActions"), href(self+"nextPendingInputAction")
	}
	return map[string]any{
		"_links": l, "id": strconv.Itoa(b.number), "name": fmt.Sprintf("#%d", b.number),
		"status": b.runStatus(), "startTimeMillis": b.start.UnixMilli(), "endTimeMillis": end.UnixMilli(),
		"durationMillis": end.Sub(b.start).Milliseconds(), "queueDurationMillis": b.start.Sub(b.queued).Milliseconds(),
		"pauseDurationMillis": b.pausedFor(nil), "stages": stages,
	}
}

// stageExt is a stage, with its steps if full. Called with the build's lock held.
func (s *Server) stageExt(b *build, st *stageNode, full bool) any {
	m := map[string]any{
		"_links": links("self", fmt.Sprintf("%s/%sexecution/node/%d/wfapi/describe", s.opts.ContextPath, b.path(), st.id)),
		"id":     strconv.Itoa(st.id), "name": st.name, "execNode": "", "status": b.stageStatus(st),
		"startTimeMillis": st.start.UnixMilli(), "durationMillis": st.duration(s.clock.Now()), "pauseDurationMillis": b.pausedFor(st),
	}
	addError(m, st.err)
	if full {
		nodes := []any{}
		for _, n := range b.nodes {
			if len(nodes) < maxFlowNodes && n.stage.within(st) {
				nodes = append(nodes, s.nodeExt(b, n))
			}
		}
		m["stageFlowNodes"] = nodes
	}
	return m
}

func links(rel, target string) map[string]any { return map[string]any{rel: href(target)} }

func href(target string) any { return map[string]any{"href": target} }

// serveGraph answers pipeline-graph-view's stages/tree, stages/pauseState and stages/log?nodeId=.
func (s *Server) serveGraph(w http.ResponseWriter, r *http.Request, b *build, verb string) {
	if s.opts.NoGraphView || b.job.def.kind != classJob {
		notFound(w)
		return
	}
	b.mu.Lock()
	tree := map[string]any{"complete": b.over, "stages": s.graph(b, b.tops)}
	pause := map[string]any{"paused": b.paused, "building": !b.over}
	b.mu.Unlock()
	switch verb {
	case "tree":
		serveJSON(w, ok(tree))
	case "pauseState":
		serveJSON(w, ok(pause))
	case "log":
		id, _ := strconv.Atoi(r.FormValue("nodeId"))
		b.mu.Lock()
		n, _ := b.findNode(id)
		var text []byte
		if n != nil {
			text = consoleNote.ReplaceAll(b.nodeLog(n), nil)
		}
		b.mu.Unlock()
		if n == nil {
			notFound(w)
			return
		}
		w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
		_, _ = w.Write(text)
	default:
		notFound(w)
	}
}

func ok(data any) any { return map[string]any{"status": "ok", "data": data} }

var graphStates = map[string]string{
	"IN_PROGRESS": "running", "PAUSED_PENDING_INPUT": "paused", "SUCCESS": "success", "FAILED": "failure", "ABORTED": "aborted",
}

func (s *Server) graph(b *build, nodes []*stageNode) []any {
	out := []any{}
	for _, st := range nodes {
		kind := "STAGE"
		if st.branch {
			kind = "PARALLEL"
		}
		out = append(out, map[string]any{
			"id": strconv.Itoa(st.id), "name": st.name, "state": graphStates[b.stageStatus(st)], "type": kind, "title": "",
			"startTimeMillis": st.start.UnixMilli(), "totalDurationMillis": st.duration(s.clock.Now()), "pauseDurationMillis": b.pausedFor(st),
			"children": s.graph(b, st.children), "agent": "", "url": "/" + b.path() + "stages/?selected-node=" + strconv.Itoa(st.id),
		})
	}
	return out
}

// togglePause answers POST pause/toggle, which exists only while the build runs.
func (s *Server) togglePause(w http.ResponseWriter, r *http.Request, b *build, user string) {
	if !b.building() {
		notFound(w)
		return
	}
	if !post(w, r) || !s.allowed(w, b.job, user, PermCancel) {
		return
	}
	b.mu.Lock()
	b.paused = !b.paused
	b.mu.Unlock()
	s.wake()
}
