package jenkinstest

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// serveBuild answers job/build: the trigger of a job without parameters, and the form of one with.
func (s *Server) serveBuild(w http.ResponseWriter, r *http.Request, it *item, user string) {
	s.mu.Lock()
	defs := it.def.params
	s.mu.Unlock()
	if len(defs) > 0 && r.Method != http.MethodPost {
		page(w, http.StatusMethodNotAllowed, "Jenkins", "This build requires parameters")
		return
	}
	delay, ok := s.mayTrigger(w, r, it, user)
	if !ok {
		return
	}
	if len(defs) == 0 {
		s.schedule(w, r, it, nil, delay, user, func(location string, _ bool) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusCreated)
		})
		return
	}
	form, ok := submitted(w, r)
	if !ok {
		return
	}
	params, err := form.Parameter.values(defs)
	if err != nil {
		oops(w, err.Error())
		return
	}
	s.schedule(w, r, it, params, delay, user, func(location string, coalesced bool) {
		if coalesced {
			redirect(w, ".")
			return
		}
		if u, err := url.Parse(form.RedirectTo); form.RedirectTo != "" && err == nil && u.Host == "" && !strings.HasPrefix(form.RedirectTo, "/") {
			location = form.RedirectTo
		}
		w.Header().Set("Location", location)
		status, _ := form.StatusCode.Int64()
		w.WriteHeader(cmp.Or(int(status), http.StatusCreated))
	})
}

// serveBuildWithParameters answers job/buildWithParameters.
func (s *Server) serveBuildWithParameters(w http.ResponseWriter, r *http.Request, it *item, user string) {
	delay, ok := s.mayTrigger(w, r, it, user)
	if !ok {
		return
	}
	s.mu.Lock()
	defs := it.def.params
	s.mu.Unlock()
	if len(defs) == 0 {
		status := http.StatusBadRequest
		if !s.opts.since(524) {
			status = http.StatusInternalServerError
		}
		page(w, status, "Error", it.fullName()+" is not parameterized")
		return
	}
	params := make([]param, len(defs))
	for i, d := range defs {
		params[i] = d.fallback()
		if r.Form.Has(d.name) { // what is not declared is ignored
			var err error
			if params[i], err = d.accept(r.Form.Get(d.name)); err != nil {
				oops(w, err.Error())
				return
			}
		}
	}
	s.schedule(w, r, it, params, delay, user, func(location string, coalesced bool) {
		status := http.StatusCreated
		if coalesced && s.opts.since(308) {
			status = http.StatusSeeOther
		}
		w.Header().Set("Location", location)
		w.WriteHeader(status)
	})
}

// mayTrigger checks what both ways of triggering check, and answers when one of it fails.
func (s *Server) mayTrigger(w http.ResponseWriter, r *http.Request, it *item, user string) (delay time.Duration, ok bool) {
	s.mu.Lock()
	disabled, name := it.def.disabled, it.fullName()
	s.mu.Unlock()
	if !post(w, r) || !s.allowed(w, it, user, PermBuild) {
		return 0, false
	}
	delay, ok = parseDelay(r)
	switch {
	case !ok:
		oops(w, "java.lang.IllegalArgumentException: Invalid time duration value: "+r.FormValue("delay"))
		return 0, false
	case disabled:
		text := name + " is not buildable"
		if !s.opts.since(524) {
			text += "\n\tat hudson.util.HttpResponses.error"
		}
		page(w, http.StatusConflict, "Error", text)
		return 0, false
	}
	return delay, true
}

func (s *Server) schedule(w http.ResponseWriter, r *http.Request, it *item, params []param, delay time.Duration, user string, done func(string, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case it.gone:
		notFound(w)
	case it.deleting, s.opts.RefuseRun != nil && s.opts.RefuseRun(it.fullName()):
		redirect(w, ".")
	default:
		q, coalesced := s.enqueue(it, params, delay, user)
		done(s.absolute(r, fmt.Sprintf("queue/item/%d/", q.id)), coalesced)
	}
}

// parseDelay reads "0sec", "3 secs", or milliseconds; without one it is the quiet period.
func parseDelay(r *http.Request) (time.Duration, bool) {
	text := r.FormValue("delay")
	if !r.Form.Has("delay") {
		return quietPeriod, true
	}
	unit := time.Millisecond
	text = strings.TrimSpace(text)
	if strings.HasSuffix(text, "sec") || strings.HasSuffix(text, "secs") {
		text, unit = strings.TrimSpace(text[:strings.LastIndex(text, "sec")]), time.Second
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return (time.Duration(max(n, 0)) * unit).Truncate(time.Second), err == nil
}
