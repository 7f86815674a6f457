package jenkinstest

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
)

const maxBody = 64 << 20

// createItem answers POST createItem?name=N with a config.xml as its body, and the form for new items, which may copy one.
func (s *Server) createItem(w http.ResponseWriter, r *http.Request, parent *item, user string) {
	if !post(w, r) || !s.allowed(w, parent, user, PermCreate) {
		return
	}
	ctype, query := r.Header.Get("Content-Type"), r.URL.Query()
	isXML := strings.HasPrefix(ctype, "application/xml") || strings.HasPrefix(ctype, "text/xml")
	form := func(key string) string {
		if query.Has(key) || isXML {
			return query.Get(key)
		}
		return r.PostFormValue(key)
	}
	mode, name := form("mode"), form("name")
	switch {
	case ctype == "" && mode != "copy":
		xError(w, "No Content-Type header set")
		return
	case name == "" && !query.Has("name"):
		xError(w, "Query parameter 'name' is required")
		return
	}
	if err := checkName(name); err != nil {
		xError(w, err.Error())
		return
	}
	name = strings.TrimSpace(name)
	var body []byte
	if isXML {
		var err error
		if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
			oops(w, err.Error())
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if parent.child(name) != nil {
		xError(w, "A job already exists with the name ‘"+name+"’")
		return
	}
	config := ""
	switch from := form("from"); {
	case mode == "copy":
		src := parent.child(from)
		if src == nil || !s.sees(src, user) {
			xError(w, "No such job: "+from)
			return
		}
		config = src.config
	case isXML: // the declaration's charset counts here
		config = decodeDeclared(string(body))
	case mode == "":
		xError(w, "No mode given")
		return
	default:
		if config = emptyConfigs[mode]; config == "" {
			xError(w, "No item type ‘"+mode+"’ is known")
			return
		}
	}
	def, err := parseConfig(config)
	if err == nil && len(name) > maxFileName {
		err = fmt.Errorf("java.nio.file.FileSystemException: %s: File name too long", name)
	}
	if err != nil {
		oops(w, err.Error())
		return
	}
	it := &item{name: name, config: config, def: def, next: 1}
	if def.kind == classFolder {
		it.children = map[string]*item{}
	}
	parent.addChild(it)
	if !isXML || mode == "copy" {
		redirect(w, s.absolute(r, it.path()+"configure"))
	}
}

const maxFileName = 255 // bytes: an item is a directory

// emptyConfigs are what the form for new items makes, by its mode.
var emptyConfigs = map[string]string{
	classJob:       "<flow-definition/>",
	classFreestyle: "<project/>",
	classFolder:    "<com.cloudbees.hudson.plugins.folder.Folder/>",
}

var latin1 = regexp.MustCompile(`^\s*<\?xml[^>]*encoding\s*=\s*['"](?i:iso-8859-1|us-ascii)['"]`)

// decodeDeclared reads a document by the charset that it declares.
func decodeDeclared(text string) string {
	if latin1.MatchString(text) {
		return fromLatin1([]byte(text))
	}
	return text
}

func fromLatin1(text []byte) string {
	runes := make([]rune, len(text))
	for i, c := range text {
		runes[i] = rune(c)
	}
	return string(runes)
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
		if !s.has(it, user, PermConfigure) {
			text = encrypted.ReplaceAllLiteralString(text, "********")
		}
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
	return fromLatin1(body), nil
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

// deleteBuild answers POST job/N/doDelete. A build that is kept for ever stays, and so does one that runs.
func (s *Server) deleteBuild(w http.ResponseWriter, r *http.Request, b *build, user string) {
	if !post(w, r) || !s.allowed(w, b.job, user, PermRunDelete) {
		return
	}
	b.mu.Lock()
	keep, over := b.keep, b.over
	name := strings.ReplaceAll(b.jobName, "/", " » ") + fmt.Sprintf(" #%d", b.number)
	b.mu.Unlock()
	switch {
	case keep:
		xError(w, "Unable to delete ‘"+name+"’: This record is explicitly marked to be kept.")
	case !over: // delete-retry.jelly: a page that says why
		page(w, http.StatusOK, "Retry delete", "java.io.IOException: Unable to delete "+b.jobName+fmt.Sprintf(" #%d", b.number)+" because it is still running")
	default:
		s.dropBuild(b)
		redirect(w, s.absolute(r, b.jobPath))
	}
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
