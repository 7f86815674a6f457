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
		for _, in := range b.inputs {
			if in.stage == st {
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
	case len(b.inputs) > 0:
		return "PAUSED_PENDING_INPUT"
	case !b.over:
		return "IN_PROGRESS"
	case b.result == "FAILURE":
		return "FAILED"
	}
	return b.result
}

func (st *stageNode) duration(now time.Time) int64 {
	if st.end.IsZero() {
		return now.Sub(st.start).Milliseconds()
	}
	return st.end.Sub(st.start).Milliseconds()
}

// serveRuns answers job/wfapi/runs: the newest ten.
func (s *Server) serveRuns(w http.ResponseWriter, it *item, segs []string) {
	if s.opts.NoStageREST || it.def.kind != classJob || len(segs) != 1 || segs[0] != "runs" {
		notFound(w)
		return
	}
	s.mu.Lock()
	runs := []any{}
	for i := len(it.builds) - 1; i >= 0 && len(runs) < 10; i-- {
		runs = append(runs, s.runExt(it.builds[i]))
	}
	s.mu.Unlock()
	serveJSON(w, runs)
}

func (s *Server) serveRun(w http.ResponseWriter, b *build, verb string) {
	if s.opts.NoStageREST || b.job.def.kind != classJob {
		notFound(w)
		return
	}
	switch verb {
	case "describe":
		serveJSON(w, s.runExt(b))
	case "pendingInputActions":
		serveJSON(w, s.inputActions(b))
	case "nextPendingInputAction":
		if all := s.inputActions(b); len(all) > 0 {
			serveJSON(w, all[0])
			return
		}
		serveJSON(w, nil)
	default:
		notFound(w)
	}
}

func (s *Server) runExt(b *build) any {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, self := s.clock.Now(), s.opts.ContextPath+"/"+b.path()
	stages := []any{}
	if !b.killed {
		for _, st := range b.stages {
			m := map[string]any{
				"_links": links("self", fmt.Sprintf("%sexecution/node/%d/wfapi/describe", self, st.id)),
				"id":     strconv.Itoa(st.id), "name": st.name, "execNode": "", "status": b.stageStatus(st),
				"startTimeMillis": st.start.UnixMilli(), "durationMillis": st.duration(now), "pauseDurationMillis": 0,
			}
			if st.err != nil {
				class, msg := classOf(st.err)
				m["error"] = map[string]any{"message": msg, "type": class}
			}
			stages = append(stages, m)
		}
	}
	end := b.end
	if !b.over {
		end = now
	}
	return map[string]any{
		"_links": links("self", self+"wfapi/describe"), "id": strconv.Itoa(b.number), "name": fmt.Sprintf("#%d", b.number),
		"status": b.runStatus(), "startTimeMillis": b.start.UnixMilli(), "endTimeMillis": end.UnixMilli(),
		"durationMillis": end.Sub(b.start).Milliseconds(), "queueDurationMillis": 0, "pauseDurationMillis": 0, "stages": stages,
	}
}

func links(rel, href string) any { return map[string]any{rel: map[string]any{"href": href}} }

func (s *Server) inputActions(b *build) []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	self := s.opts.ContextPath + "/" + b.path()
	all := []any{}
	for _, in := range b.inputs {
		all = append(all, map[string]any{
			"id": in.id, "proceedText": in.ok, "message": in.message, "inputs": []any{},
			"proceedUrl": self + "wfapi/inputSubmit?inputId=" + in.id, "abortUrl": self + "input/" + in.id + "/abort",
			"redirectApprovalUrl": self + "input/",
		})
	}
	return all
}

// answerInput answers POST input/ID/proceedEmpty and abort.
func (s *Server) answerInput(w http.ResponseWriter, r *http.Request, b *build, id, verb string) {
	if !post(w, r) {
		return
	}
	if verb != "proceedEmpty" && verb != "abort" && verb != "proceed" {
		notFound(w)
		return
	}
	in := b.takeInput(id)
	if in == nil {
		notFound(w)
		return
	}
	if verb == "abort" {
		in.err = interrupted("Rejected by anonymous")
	}
	close(in.answer)
}

// serveGraph answers pipeline-graph-view's stages/tree and stages/pauseState.
func (s *Server) serveGraph(w http.ResponseWriter, b *build, verb string) {
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
			"startTimeMillis": st.start.UnixMilli(), "totalDurationMillis": st.duration(s.clock.Now()), "pauseDurationMillis": 0,
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
