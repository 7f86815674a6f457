package jenkinstest

import (
	"net/http"
	"slices"
	"strings"
)

// routeRoot answers what is not below an item.
func (s *Server) routeRoot(w http.ResponseWriter, r *http.Request, segs []string, user string) {
	verb := ""
	if len(segs) > 0 {
		verb = segs[0]
	}
	serve := func(make func() *object) {
		if isAPI(segs[1:]) {
			s.serveObject(w, r, make)
			return
		}
		notFound(w)
	}
	switch {
	case len(segs) == 0:
		page(w, http.StatusOK, "Dashboard - Jenkins", "Welcome to Jenkins!")
	case isAPI(segs):
		s.serveObject(w, r, func() *object { return s.rootObject(user) })
	case verb == "login":
		page(w, http.StatusOK, "Sign in - Jenkins", "Sign in to Jenkins")
	case verb == "health":
		s.serveHealth(w)
	case verb == "crumbIssuer":
		s.serveCrumb(w, r, user)
	case verb == "whoAmI":
		serve(func() *object { return whoAmI(user) })
	case verb == "me" && user != anonymous:
		serve(func() *object { return s.userObject(user) })
	case verb == "pluginManager":
		if s.allowed(w, nil, user, PermSystemRead) {
			serve(s.pluginsObject)
		}
	case verb == "computer":
		serve(computersObject)
	case verb == "createItem":
		s.createItem(w, r, s.root, user)
	case verb == "credentials":
		s.routeCredentials(w, r, s.root, segs, user)
	case verb == "queue":
		s.routeQueue(w, r, segs[1:], user)
	case strings.Join(segs, "/") == "pipeline-model-converter/validateJenkinsfile":
		serveValidation(w, r)
	case verb == "quietDown" || verb == "cancelQuietDown":
		if post(w, r) && s.allowed(w, nil, user, PermManage) {
			s.SetQuiet(verb == "quietDown")
			redirect(w, s.absolute(r, ""))
		}
	case verb == "safeRestart" || verb == "restart":
		if post(w, r) && s.allowed(w, nil, user, PermManage) {
			s.Restart(RestartOptions{})
			redirect(w, s.absolute(r, ""))
		}
	default:
		notFound(w)
	}
}

// SetHealth makes /health/ answer 503 with these failures; none make it well again.
func (s *Server) SetHealth(failures ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = failures
}

// serveHealth answers /health/, of which nobody needs to know who asks.
func (s *Server) serveHealth(w http.ResponseWriter) {
	if !s.opts.since(506) {
		notFound(w)
		return
	}
	s.mu.Lock()
	failures := append([]string{}, s.failures...)
	s.mu.Unlock()
	status := http.StatusOK
	if len(failures) > 0 {
		status = http.StatusServiceUnavailable
	}
	serveJSONStatus(w, status, map[string]any{"status": len(failures) == 0, "failures": failures})
}

func whoAmI(user string) *object {
	authority := "authenticated"
	if user == anonymous {
		authority = anonymous
	}
	o := &object{class: "hudson.security.WhoAmI"}
	o.ref("name", func() any { return user })
	o.ref("anonymous", func() any { return user == anonymous })
	o.ref("authenticated", func() any { return true }) // Spring's anonymous token is, too
	o.ref("authorities", func() any { return []string{authority} })
	return o
}

func (s *Server) userObject(user string) *object {
	o := &object{class: "hudson.model.User"}
	o.ref("absoluteUrl", func() any { return s.opts.RootURL + "user/" + user })
	o.ref("fullName", func() any { return user })
	o.add("description", func() any { return nil })
	o.add("id", func() any { return user })
	o.add("property", func() any { return []any{} })
	return o
}

// plugins are those that the double stands for.
var plugins = []string{
	"cloudbees-folder", "credentials", "durable-task", "git", "kubernetes", "pipeline-input-step", "pipeline-model-definition", "plain-credentials",
	"ssh-credentials", "workflow-aggregator", "workflow-cps", "workflow-job",
}

func (s *Server) pluginsObject() *object {
	names := plugins
	if !s.opts.NoGraphView {
		names = append(slices.Clip(names), "pipeline-graph-view")
	}
	if !s.opts.NoStageREST {
		names = append(slices.Clip(names), "pipeline-rest-api")
	}
	o := &object{class: "hudson.LocalPluginManager"}
	o.add("plugins", func() any {
		return list{len(names), func(i int) *object {
			p := &object{}
			p.ref("shortName", func() any { return names[i] })
			for _, flag := range []string{"active", "enabled"} {
				p.add(flag, func() any { return true })
			}
			for _, flag := range []string{"bundled", "deleted", "downgradable", "hasUpdate", "pinned"} {
				p.add(flag, func() any { return false })
			}
			p.add("backupVersion", func() any { return nil })
			p.add("dependencies", func() any { return []any{} })
			p.add("longName", func() any { return names[i] })
			p.add("supportsDynamicLoad", func() any { return "MAYBE" })
			p.add("url", func() any { return "https://plugins.jenkins.io/" + names[i] })
			p.add("version", func() any { return "1.0" })
			return p
		}}
	})
	return o
}

// computersObject is the list of nodes: the double's agents come and go with builds and are not shown.
func computersObject() *object {
	o := &object{class: "hudson.model.ComputerSet"}
	o.add("busyExecutors", func() any { return 0 })
	o.add("displayName", func() any { return "Nodes" })
	o.add("totalExecutors", func() any { return 0 })
	o.add("computer", func() any {
		return list{1, func(int) *object {
			c := &object{class: "hudson.model.Hudson$MasterComputer"}
			c.ref("displayName", func() any { return "Built-In Node" })
			c.ref("description", func() any { return "the Jenkins controller's built-in node" })
			for _, flag := range []string{"idle", "jnlpAgent", "manualLaunchAllowed", "offline", "temporarilyOffline"} {
				c.ref(flag, func() any { return flag == "idle" || flag == "manualLaunchAllowed" })
			}
			c.ref("numExecutors", func() any { return 0 })
			c.ref("executors", func() any { return []any{} })
			c.ref("oneOffExecutors", func() any { return []any{} })
			return c
		}}
	})
	return o
}
