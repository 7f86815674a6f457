package jenkinstest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (s *Server) routeQueue(w http.ResponseWriter, r *http.Request, segs []string, user string) {
	switch {
	case isAPI(segs):
		s.serveObject(w, r, func() *object { return s.allQueue(user) })
	case len(segs) >= 2 && segs[0] == "item":
		id, err := strconv.ParseInt(segs[1], 10, 64)
		if err != nil || !isAPI(segs[2:]) {
			s.itemText(w, r, id, user)
			return
		}
		s.serveObject(w, r, func() *object {
			if it := s.findItem(id); it != nil && s.mayKnow(it, user) {
				return s.queueObject(it)
			}
			return nil
		})
	case len(segs) == 1 && segs[0] == "cancelItem":
		s.serveCancel(w, r, user)
	default:
		notFound(w)
	}
}

// serveCancel answers 204, 404 for an id it does not know, and 500 for one that has just left.
func (s *Server) serveCancel(w http.ResponseWriter, r *http.Request, user string) {
	if !post(w, r) {
		return
	}
	id, err := strconv.ParseInt(r.FormValue("id"), 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.findItem(id)
	switch {
	case err != nil, it == nil, !s.mayKnow(it, user):
		notFound(w)
	case !s.has(it.task(), user, PermCancel):
		page(w, http.StatusUnprocessableEntity, "Error", user+" is missing the permission to cancel")
	case it.state == itemLeft:
		page(w, http.StatusInternalServerError, "Error", "Could not cancel run")
	default:
		s.cancelItem(it)
		if !s.opts.since(211) {
			redirect(w, cmpOr(r.Referer(), s.absolute(r, "queue/")))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// itemText is what a browser gets to see of an item.
func (s *Server) itemText(w http.ResponseWriter, r *http.Request, id int64, user string) {
	s.mu.Lock()
	it := s.findItem(id)
	known := it != nil && s.mayKnow(it, user)
	s.mu.Unlock()
	if !known {
		notFound(w)
		return
	}
	w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	_, _ = fmt.Fprintf(w, "Queue item exists. For details check, for example, %s%d/api/json", s.absolute(r, "queue/item/"), id)
}

// task is the job that an item belongs to.
func (it *queueItem) task() *item {
	if it.node != nil {
		return it.node.build.job
	}
	return it.job
}

// mayKnow tells whether an item of the queue is shown to a user. Called with the lock held.
func (s *Server) mayKnow(it *queueItem, user string) bool {
	return s.sees(it.task(), user) || s.discovers(it.task(), user)
}

func (s *Server) allQueue(user string) *object {
	items := slices.Clone(s.queue)
	slices.Reverse(items)
	seen := slices.DeleteFunc(slices.Clone(items), func(it *queueItem) bool { return !s.sees(it.task(), user) })
	known := slices.DeleteFunc(items, func(it *queueItem) bool { return s.sees(it.task(), user) || !s.discovers(it.task(), user) })
	o := &object{class: "hudson.model.Queue"}
	o.add("discoverableItems", func() any {
		return list{len(known), func(i int) *object {
			stub := &object{class: "hudson.model.Queue$StubItem"}
			stub.ref("task", func() any {
				t := &object{class: "hudson.model.Queue$StubTask"}
				t.ref("name", func() any { return known[i].task().name })
				t.ref("url", func() any { return s.opts.RootURL + known[i].task().path() })
				return t
			})
			return stub
		}}
	})
	o.add("items", func() any {
		return list{len(seen), func(i int) *object { return s.queueObject(seen[i]) }}
	})
	return o
}

func (s *Server) queueObject(it *queueItem) *object {
	o := &object{class: "hudson.model.Queue$" + string(it.state)}
	o.ref("id", func() any { return it.id })
	o.ref("why", func() any { return s.why(it) })
	o.ref("actions", func() any { return actionList(it.params, it.user) })
	o.ref("blocked", func() any { return it.state == itemBlocked })
	o.ref("buildable", func() any { return it.state == itemBuildable })
	o.ref("stuck", func() any { return it.node != nil })
	o.ref("inQueueSince", func() any { return it.since.UnixMilli() })
	o.ref("params", func() any {
		var text strings.Builder
		for _, p := range it.params {
			text.WriteString("\n" + p.name + "=" + p.value)
		}
		return text.String()
	})
	o.ref("task", func() any { return s.taskObject(it) })
	o.ref("url", func() any { return fmt.Sprintf("queue/item/%d/", it.id) })
	switch it.state {
	case itemWaiting:
		o.ref("timestamp", func() any { return it.quietUntil.UnixMilli() })
	case itemBuildable:
		o.ref("pending", func() any { return false })
		o.ref("buildableStartMilliseconds", func() any { return it.since.UnixMilli() })
	case itemBlocked:
		o.ref("buildableStartMilliseconds", func() any { return it.since.UnixMilli() })
	case itemLeft:
		o.ref("cancelled", func() any { return it.cancelled })
		o.ref("executable", func() any {
			if it.build == nil {
				return nil
			}
			x := &object{class: "org.jenkinsci.plugins.workflow.job.WorkflowRun"}
			x.ref("number", func() any { return it.build.number })
			x.ref("url", func() any { return s.opts.RootURL + it.build.path() })
			return x
		})
	}
	return o
}

// taskObject of a job carries an absolute url, that of a `node` step a relative one.
func (s *Server) taskObject(it *queueItem) *object {
	if it.node != nil {
		b := it.node.build
		o := &object{class: "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask"}
		o.ref("name", func() any {
			name := fmt.Sprintf("part of %s #%d", strings.ReplaceAll(b.jobName, "/", " » "), b.number)
			if st := it.node.stage; st != nil {
				name += " (" + st.name + ")"
			}
			return name
		})
		o.ref("url", func() any { return b.path() })
		return o
	}
	o := &object{class: it.job.def.kind}
	o.ref("name", func() any { return it.job.name })
	o.ref("url", func() any { return s.opts.RootURL + it.job.path() })
	o.ref("color", func() any { return color(it.job) })
	return o
}
