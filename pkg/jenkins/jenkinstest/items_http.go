package jenkinstest

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

const maxBody = 64 << 20

// createItem answers POST createItem?name=N with a config.xml as its body.
func (s *Server) createItem(w http.ResponseWriter, r *http.Request, parent *item, user string) {
	if !post(w, r) || !s.allowed(w, parent, user, PermCreate) {
		return
	}
	ctype := r.Header.Get("Content-Type")
	if !strings.HasPrefix(ctype, "application/xml") && !strings.HasPrefix(ctype, "text/xml") {
		xError(w, "No mode given")
		return
	}
	name := r.URL.Query().Get("name")
	if err := checkName(name); err != nil {
		xError(w, err.Error())
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		oops(w, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if parent.child(name) != nil {
		xError(w, "A job already exists with the name ‘"+name+"’")
		return
	}
	def, err := parseConfig(string(body)) // the declaration's charset counts here, and the double reads UTF-8 only
	if err != nil {
		oops(w, err.Error())
		return
	}
	it := &item{name: name, config: string(body), def: def, next: 1}
	if def.kind == classFolder {
		it.children = map[string]*item{}
	}
	parent.addChild(it)
}

// serveConfig answers GET and POST config.xml.
func (s *Server) serveConfig(w http.ResponseWriter, r *http.Request, it *item, user string) {
	switch r.Method {
	case http.MethodGet:
		if !s.allowed(w, it, user, PermExtendedRead) {
			return
		}
		s.mu.Lock()
		text := savedConfig(it.config)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/xml")
		_, _ = io.WriteString(w, text)
	case http.MethodPost:
		if !s.allowed(w, it, user, PermConfigure) {
			return
		}
		text, err := readText(w, r)
		if err != nil {
			oops(w, err.Error())
			return
		}
		def, err := parseConfig(text)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil && def.kind != it.def.kind {
			err = fmt.Errorf("Expecting class %s but got class %s instead", it.def.kind, def.kind)
		}
		if err != nil {
			oops(w, err.Error())
			return
		}
		it.config, it.def = text, def
	default:
		page(w, http.StatusBadRequest, "Error", "Unexpected request method "+r.Method)
	}
}

// readText decodes a body by the charset of its Content-Type, which defaults to ISO-8859-1 as servlets have it.
func readText(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return "", err
	}
	_, args, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if strings.EqualFold(args["charset"], "utf-8") {
		return string(body), nil
	}
	runes := make([]rune, len(body))
	for i, c := range body {
		runes[i] = rune(c)
	}
	return string(runes), nil
}

// deleteItem interrupts what runs, waits a while for it to end, and removes the item with everything in it. It answers when it fails.
func (s *Server) deleteItem(w http.ResponseWriter, it *item, user string) bool {
	if !s.allowed(w, it, user, PermDelete) {
		return false
	}
	s.mu.Lock()
	if it.deleting {
		s.mu.Unlock()
		xError(w, it.fullName()+" is currently being deleted")
		return false
	}
	it.deleting = true
	var running []*build
	it.walk(func(below *item) {
		for _, q := range s.queueOf(below) {
			s.cancelItem(q)
		}
		for _, b := range below.builds {
			if b.building() {
				running = append(running, b)
			}
		}
	})
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		it.deleting = false
		s.mu.Unlock()
	}()
	for _, b := range running {
		b.stop(user)
	}
	limit := s.clock.NewTimer(deleteWait)
	defer limit.Stop()
	for i, b := range running {
		select {
		case <-b.done:
		case <-limit.C():
			xError(w, fmt.Sprintf("Failed to interrupt and stop %d build of %s", len(running)-i, it.fullName()))
			return false
		case <-s.ctx.Done():
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if it.parent != nil {
		it.parent.removeChild(it)
	}
	return true
}

func (s *Server) queueOf(job *item) []*queueItem {
	var found []*queueItem
	for _, q := range s.queue {
		if q.job == job {
			found = append(found, q)
		}
	}
	return found
}

func (s *Server) dropBuild(b *build) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range b.job.builds {
		if other == b {
			b.job.builds = append(b.job.builds[:i:i], b.job.builds[i+1:]...)
			return
		}
	}
}

// trigger answers build and buildWithParameters.
func (s *Server) trigger(w http.ResponseWriter, r *http.Request, it *item, user string, parameterised bool) {
	if r.Method != http.MethodPost {
		methodNotAllowed(w)
		return
	}
	if !s.allowed(w, it, user, PermBuild) {
		return
	}
	delay, ok := parseDelay(r.FormValue("delay"))
	if !ok {
		xError(w, "Invalid delay")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case it.def.disabled:
		page(w, http.StatusConflict, "Error", it.name+" is not buildable")
		return
	case parameterised && len(it.def.params) == 0:
		status := http.StatusBadRequest
		if s.opts.oldLog() {
			status = http.StatusInternalServerError
		}
		page(w, status, "Error", it.name+" is not parameterized")
		return
	case s.opts.RefuseRun != nil && s.opts.RefuseRun(it.fullName()):
		redirect(w, ".")
		return
	}
	var params []param
	for _, p := range it.def.params {
		if parameterised && r.Form.Has(p.name) {
			p.value = r.Form.Get(p.name)
		}
		params = append(params, p) // what is not declared is ignored
	}
	q, coalesced := s.enqueue(it, params, delay, user)
	w.Header().Set("Location", s.absolute(r, fmt.Sprintf("queue/item/%d/", q.id)))
	if coalesced && parameterised {
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	w.WriteHeader(http.StatusCreated)
}
