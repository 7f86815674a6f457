package jenkinstest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"
)

// Fault spoils answers. The zero values of its fields do nothing. In JSON, durations are text: "1.5s".
type Fault struct {
	Method string // "" : any
	Path   string // part of the path and query; "" : any
	Skip   int    // requests that match and are let through first
	Times  int    // requests to spoil; 0: one, negative: all until Server.Mend

	Delay      time.Duration // on the double's clock, before anything else
	DropBefore bool          // the connection breaks, and nothing was done
	DropAfter  bool          // the connection breaks after everything was done
	Truncate   int           // the connection breaks after so many bytes of the body
	HTML       bool          // a proxy answers in Jenkins' place: 200 and a page
	Status     int           // a proxy answers in Jenkins' place: this status and a page
	Oops       bool          // Jenkins answers 500 and its page for exceptions; with Delay: 1m, a wfapi whose inputs cannot be loaded
	Crumb      bool          // Jenkins complains about the crumb
	Drip       time.Duration // wait on the double's clock between two bytes of the body
}

// MarshalJSON writes durations as text.
func (f Fault) MarshalJSON() ([]byte, error) {
	type plain Fault
	return json.Marshal(struct {
		plain
		Delay, Drip textDuration
	}{plain(f), textDuration(f.Delay), textDuration(f.Drip)})
}

// UnmarshalJSON reads what MarshalJSON writes. A field that it does not know is an error.
func (f *Fault) UnmarshalJSON(text []byte) error {
	type plain Fault
	var wire struct {
		plain
		Delay, Drip textDuration
	}
	if err := strictJSON(text, &wire); err != nil {
		return err
	}
	*f = Fault(wire.plain)
	f.Delay, f.Drip = time.Duration(wire.Delay), time.Duration(wire.Drip)
	return nil
}

// Spoil adds a fault. Of several that match a request, the oldest is used. Faults come before everything else: before the question
// whether Jenkins is up, too.
func (s *Server) Spoil(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Mend removes all faults.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) takeFault(r *http.Request) *Fault {
	for _, f := range s.faults {
		if f.Times == 0 || f.Method != "" && f.Method != r.Method || !strings.Contains(r.URL.RequestURI(), f.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return f
	}
	return nil
}

func (f *Fault) serve(s *Server, w http.ResponseWriter, r *http.Request) {
	if f.Delay > 0 && !s.wait(r, f.Delay) {
		panic(http.ErrAbortHandler)
	}
	switch {
	case f.DropBefore:
		panic(http.ErrAbortHandler)
	case f.HTML, f.Status != 0:
		status := http.StatusOK
		if f.Status != 0 {
			status = f.Status
		}
		page(w, status, "Proxy", "an answer that is not from Jenkins")
		return
	case f.Oops:
		s.identify(w)
		oops(w, "javax.servlet.ServletException")
		return
	case f.Crumb:
		s.identify(w)
		page(w, http.StatusForbidden, "Error 403", "No valid crumb was included in the request")
		return
	case !f.DropAfter && f.Truncate == 0 && f.Drip == 0:
		s.serve(w, r)
		return
	}
	rec := httptest.NewRecorder()
	s.serve(rec, r)
	if f.DropAfter {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), rec.Header())
	body := rec.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(rec.Code)
	if f.Truncate > 0 && f.Truncate < len(body) {
		_, _ = w.Write(body[:f.Truncate])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	for i := range body {
		if f.Drip > 0 && !s.wait(r, f.Drip) {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body[i : i+1])
		_ = http.NewResponseController(w).Flush()
	}
}

// wait is false when the client or the double went away first.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	t := s.clock.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C():
		return true
	case <-r.Context().Done():
	case <-s.ctx.Done():
	}
	return false
}
