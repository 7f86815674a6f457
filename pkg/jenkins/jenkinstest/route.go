package jenkinstest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// segments splits the path below the context path. Empty ones do not count: Jenkins does not mind slashes.
func (s *Server) segments(r *http.Request) ([]string, bool) {
	p := r.URL.EscapedPath()
	if ctx := s.opts.ContextPath; ctx != "" {
		rest, ok := strings.CutPrefix(p, ctx)
		if !ok || rest != "" && rest[0] != '/' {
			return nil, false
		}
		p = rest
	}
	var segs []string
	for seg := range strings.SplitSeq(p, "/") {
		if seg == "" {
			continue
		}
		name, err := url.PathUnescape(seg)
		if err != nil {
			return nil, false
		}
		segs = append(segs, name)
	}
	return segs, true
}

// isAPI tells whether what is left of a path asks for the object itself. Clients may say api/json twice: Stapler ignores what follows.
func isAPI(segs []string) bool { return len(segs) >= 2 && segs[0] == "api" && segs[1] == "json" }

// trimAPI removes the api/json that gojenkins hangs onto every GET.
func trimAPI(segs []string) []string {
	for len(segs) >= 2 && isAPI(segs[len(segs)-2:]) {
		segs = segs[:len(segs)-2]
	}
	return segs
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, segs []string, user string) {
	s.mu.Lock()
	it := s.root
	for len(segs) >= 2 && segs[0] == "job" && it != nil && it.isFolder() {
		it, segs = it.child(segs[1]), segs[2:]
	}
	s.mu.Unlock()
	open := it == s.root && len(segs) > 0 && slices.Contains(openToAll, segs[0])
	if !open && !s.allowed(w, nil, user, PermOverallRead) || !s.visible(w, it, user) {
		return
	}
	switch {
	case it == s.root:
		s.routeRoot(w, r, segs, user)
	case it.isFolder():
		s.routeFolder(w, r, it, segs, user)
	default:
		s.routeJob(w, r, it, segs, user)
	}
}

// openToAll are paths that need no permission.
var openToAll = []string{"login", "health", "whoAmI"}

// visible answers 404 for what is not there and for what a user may not read, 403 for what the user may only know of.
func (s *Server) visible(w http.ResponseWriter, it *item, user string) bool {
	s.mu.Lock()
	sees := it != nil && s.sees(it, user)
	discovers := it != nil && s.discovers(it, user)
	s.mu.Unlock()
	switch {
	case sees:
		return true
	case discovers:
		denied(w, user, PermRead)
	default:
		notFound(w)
	}
	return false
}

func post(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost {
		methodNotAllowed(w)
		return false
	}
	return true
}

func redirect(w http.ResponseWriter, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusFound)
}

func (s *Server) routeFolder(w http.ResponseWriter, r *http.Request, it *item, segs []string, user string) {
	switch {
	case len(segs) == 0:
		s.itemPage(w, r, it, user)
	case isAPI(segs):
		s.serveObject(w, r, func() *object { return s.itemObject(it, user) })
	case segs[0] == "configure":
		s.configurePage(w, it, user)
	case segs[0] == "credentials":
		s.routeCredentials(w, r, it, segs, user)
	case segs[0] == "createItem":
		s.createItem(w, r, it, user)
	case segs[0] == "config.xml":
		s.serveConfig(w, r, it, user)
	case segs[0] == "doDelete":
		if post(w, r) && s.deleteItem(w, it, user) {
			redirect(w, s.absolute(r, it.parent.path()))
		}
	default:
		notFound(w)
	}
}

func (s *Server) itemPage(w http.ResponseWriter, r *http.Request, it *item, user string) {
	if r.Method != http.MethodDelete {
		page(w, http.StatusOK, it.name+" - Jenkins", it.name)
		return
	}
	if s.deleteItem(w, it, user) {
		w.WriteHeader(http.StatusNoContent)
	}
}

// configurePage is where the form for new items leads.
func (s *Server) configurePage(w http.ResponseWriter, it *item, user string) {
	if s.allowed(w, it, user, PermExtendedRead) {
		page(w, http.StatusOK, it.name+" Config - Jenkins", "Configure")
	}
}

func (s *Server) routeJob(w http.ResponseWriter, r *http.Request, it *item, segs []string, user string) {
	switch {
	case len(segs) == 0:
		s.itemPage(w, r, it, user)
		return
	case isAPI(segs):
		s.serveObject(w, r, func() *object { return s.itemObject(it, user) })
		return
	}
	switch segs[0] {
	case "config.xml":
		s.serveConfig(w, r, it, user)
	case "doDelete":
		if post(w, r) && s.deleteItem(w, it, user) {
			redirect(w, s.absolute(r, it.parent.path()))
		}
	case "build":
		s.serveBuild(w, r, it, user)
	case "buildWithParameters":
		s.serveBuildWithParameters(w, r, it, user)
	case "enable", "disable":
		if post(w, r) && s.allowed(w, it, user, PermConfigure) {
			s.mu.Lock()
			it.setDisabled(segs[0] == "disable")
			s.maintain()
			s.mu.Unlock()
			redirect(w, s.absolute(r, it.path()))
		}
	case "configure":
		s.configurePage(w, it, user)
	case "wfapi":
		s.serveRuns(w, r, it, trimAPI(segs[1:]))
	default:
		s.mu.Lock()
		b := s.buildNamed(it, segs[0])
		s.mu.Unlock()
		if b == nil {
			notFound(w)
			return
		}
		s.routeBuild(w, r, b, segs[1:], user)
	}
}

// permalinks are names of builds that have one only sometimes.
var permalinks = []string{
	"lastBuild", "lastCompletedBuild", "lastSuccessfulBuild", "lastStableBuild", "lastFailedBuild", "lastUnsuccessfulBuild", "lastUnstableBuild",
}

// buildNamed finds a build by number or by one of Jenkins' permalinks.
func (s *Server) buildNamed(it *item, name string) *build {
	if n, err := strconv.Atoi(name); err == nil {
		return it.findBuild(n)
	}
	for _, b := range slices.Backward(it.builds) {
		if b.linkedAs(name) {
			return b
		}
	}
	return nil
}

func (b *build) linkedAs(permalink string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch permalink {
	case "lastBuild":
		return true
	case "lastCompletedBuild":
		return b.over
	case "lastSuccessfulBuild":
		return b.over && (b.result == "SUCCESS" || b.result == "UNSTABLE")
	case "lastStableBuild":
		return b.over && b.result == "SUCCESS"
	case "lastFailedBuild":
		return b.over && b.result == "FAILURE"
	case "lastUnsuccessfulBuild":
		return b.over && b.result != "SUCCESS"
	case "lastUnstableBuild":
		return b.over && b.result == "UNSTABLE"
	}
	return false
}

func (s *Server) routeBuild(w http.ResponseWriter, r *http.Request, b *build, segs []string, user string) {
	switch {
	case len(segs) == 0:
		page(w, http.StatusOK, b.jobName+" #"+strconv.Itoa(b.number), "")
		return
	case isAPI(segs):
		s.serveObject(w, r, func() *object { return s.buildObject(b) })
		return
	}
	rest := trimAPI(segs[1:])
	sub := strings.Join(rest, "/")
	switch verb := segs[0]; {
	case verb == "stop" || verb == "term" || verb == "kill":
		if !post(w, r) || !s.allowed(w, b.job, user, PermCancel) {
			return
		}
		map[string]func(string){"stop": b.stop, "term": b.terminate, "kill": b.kill}[verb](user)
		redirect(w, cmpOr(r.Referer(), s.absolute(r, b.path())))
	case verb == "doDelete":
		s.deleteBuild(w, r, b, user)
	case verb == "toggleLogKeep":
		if post(w, r) && s.allowed(w, b.job, user, PermRunUpdate) {
			b.mu.Lock()
			b.keep = !b.keep
			b.mu.Unlock()
			redirect(w, s.absolute(r, b.path()))
		}
	case verb == "pause" && sub == "toggle":
		s.togglePause(w, r, b, user)
	case verb == "consoleText":
		b.serveConsole(w)
	case verb == "logText" && (sub == "progressiveText" || sub == "progressiveHtml"):
		b.serveLog(w, r, sub == "progressiveHtml")
	case verb == "wfapi":
		s.serveRun(w, r, b, sub, user)
	case verb == "stages":
		s.serveGraph(w, r, b, sub)
	case verb == "input" && len(rest) == 2:
		s.routeInput(w, r, b, rest[0], rest[1], user)
	case verb == "execution" && len(rest) >= 3 && rest[0] == "node":
		s.routeNode(w, b, rest[1], strings.Join(rest[2:], "/"))
	case verb == "submitDescription":
		if post(w, r) && s.allowed(w, b.job, user, PermRunUpdate) {
			b.mu.Lock()
			b.description = r.PostFormValue("description")
			b.mu.Unlock()
			redirect(w, s.absolute(r, b.path()))
		}
	default:
		notFound(w)
	}
}

// absolute is a URL as Jetty makes it: from the request's own host, not from the configured root.
func (s *Server) absolute(r *http.Request, path string) string {
	return "http://" + r.Host + s.opts.ContextPath + "/" + path
}
