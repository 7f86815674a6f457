package jenkinstest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	crumbField = "Jenkins-Crumb"
	anonymous  = "anonymous"
)

// Account is somebody who may talk to Jenkins. An empty Token or Password does not let anybody in.
type Account struct {
	Name     string `json:"name"`
	Token    string `json:"token,omitempty"`    // API token: no crumb needed
	Password string `json:"password,omitempty"` // POSTs need a crumb if Options.Crumbs is set
}

// session is what a cookie stands for: a crumb is valid with the session that it was issued in, and for the user who asked.
type session struct {
	user string
	used time.Time
}

// SetAccount adds an account or gives an existing one another token and password, as when credentials are rotated.
func (s *Server) SetAccount(a Account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accounts[a.Name] = a
}

// authenticate finds out who asks and refuses as Jenkins does: 401 for credentials it does not know, 403 with a way to the login for
// none, 403 for a POST without a crumb, unless an API token came with it.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, segs []string) (user string, ok bool) {
	user = anonymous
	token := false
	s.mu.Lock()
	secured := len(s.accounts) > 0
	name, secret, given := r.BasicAuth()
	a := s.accounts[name]
	s.mu.Unlock()
	if given && secured {
		switch {
		case a.Token != "" && same(secret, a.Token):
			user, token = a.Name, true
		case a.Password != "" && same(secret, a.Password):
			user = a.Name
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="Jenkins"`)
			page(w, http.StatusUnauthorized, "Error 401 Unauthorized", "Invalid password/token for user: "+name)
			return "", false
		}
	}
	open := len(segs) > 0 && slices.Contains(openToAll, segs[0])
	if secured && user == anonymous && !open {
		loginPage(w, r)
		return "", false
	}
	if r.Method == http.MethodPost && s.opts.Crumbs && !token && !s.validCrumb(r, user) {
		page(w, http.StatusForbidden, "Error 403 No valid crumb was included in the request", "No valid crumb was included in the request")
		return "", false
	}
	return user, true
}

// loginPage sends a browser to the login. Programs see a 403 with a page.
func loginPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html;charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	to := "/login?from=" + url.QueryEscape(r.URL.RequestURI())
	_, _ = w.Write([]byte("<html><head><meta http-equiv='refresh' content='1;url=" + to + "'/><script>window.location.replace('" + to + "');</script></head>" +
		"<body style='background-color:white; color:white;'>Authentication required <!-- You are authenticated as: anonymous --></body></html>\n"))
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) validCrumb(r *http.Request, user string) bool {
	s.mu.Lock()
	id := s.sessionOf(r, user)
	s.mu.Unlock()
	if id == "" {
		return false
	}
	crumb := r.Header.Get(crumbField)
	if crumb == "" {
		crumb = r.PostFormValue(crumbField)
	}
	return same(crumb, s.crumb(user, id))
}

// sessionOf is the id of a user's session that a request carries and that has not ended, "" without.
func (s *Server) sessionOf(r *http.Request, user string) string {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil {
		return ""
	}
	now := s.clock.Now()
	se, ok := s.sessions[cookie.Value]
	if !ok || se.user != user || s.opts.SessionTimeout > 0 && now.Sub(se.used) > s.opts.SessionTimeout {
		return ""
	}
	s.sessions[cookie.Value] = session{user, now}
	return cookie.Value
}

func (s *Server) cookieName() string { return "JSESSIONID." + s.salt[:8] }

func (s *Server) crumb(user, session string) string {
	sum := sha256.Sum256([]byte(user + ";" + session + s.salt))
	return hex.EncodeToString(sum[:])
}

// serveCrumb answers /crumbIssuer/api/json, with a session to go with the crumb.
func (s *Server) serveCrumb(w http.ResponseWriter, r *http.Request, user string) {
	if !s.opts.Crumbs {
		notFound(w)
		return
	}
	s.mu.Lock()
	id := s.sessionOf(r, user)
	if id == "" {
		id = "node0" + randomHex(12) + ".node0"
		s.sessions[id] = session{user, s.clock.Now()}
		w.Header().Add("Set-Cookie", s.cookieName()+"="+id+";Path="+cmpOr(s.opts.ContextPath, "/")+";HttpOnly")
	}
	crumb := s.crumb(user, id)
	s.mu.Unlock()
	o := &object{class: "hudson.security.csrf.DefaultCrumbIssuer"}
	o.ref("crumb", func() any { return crumb })
	o.ref("crumbRequestField", func() any { return crumbField })
	s.serveObject(w, r, func() *object { return o })
}

func cmpOr(a, b string) string {
	if strings.TrimSpace(a) != "" {
		return a
	}
	return b
}
