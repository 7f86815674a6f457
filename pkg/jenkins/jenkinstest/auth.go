package jenkinstest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strings"
)

const crumbField = "Jenkins-Crumb"

// authenticate finds out who asks and refuses as Jenkins does: 401 for credentials it does not know, 403 with a way to the login for
// none, 403 for a POST without a crumb, unless an API token came with it.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, segs []string) (user string, ok bool) {
	user = "anonymous"
	token := false
	if name, secret, given := r.BasicAuth(); given && s.opts.User != "" {
		switch {
		case same(name, s.opts.User) && s.opts.Token != "" && same(secret, s.opts.Token):
			user, token = s.opts.User, true
		case same(name, s.opts.User) && s.opts.Password != "" && same(secret, s.opts.Password):
			user = s.opts.User
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="Jenkins"`)
			page(w, http.StatusUnauthorized, "Error 401 Unauthorized", "Invalid password/token for user: "+name)
			return "", false
		}
	}
	open := len(segs) > 0 && (segs[0] == "login" || segs[0] == "health")
	if s.opts.User != "" && user == "anonymous" && !open {
		page(w, http.StatusForbidden, "", "Authentication required. <!-- You are authenticated as: anonymous -->")
		return "", false
	}
	if r.Method == http.MethodPost && s.opts.Crumbs && !token && !s.validCrumb(r, user) {
		page(w, http.StatusForbidden, "Error 403 No valid crumb was included in the request", "No valid crumb was included in the request")
		return "", false
	}
	return user, true
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) validCrumb(r *http.Request, user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	cookie, err := r.Cookie(s.cookieName())
	if err != nil || s.sessions[cookie.Value] != user {
		return false
	}
	crumb := r.Header.Get(crumbField)
	if crumb == "" {
		crumb = r.PostFormValue(crumbField)
	}
	return same(crumb, s.crumb(user, cookie.Value))
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
	id := ""
	if cookie, err := r.Cookie(s.cookieName()); err == nil && s.sessions[cookie.Value] == user {
		id = cookie.Value
	}
	if id == "" {
		id = "node0" + randomHex(12) + ".node0"
		s.sessions[id] = user
		w.Header().Add("Set-Cookie", s.cookieName()+"="+id+";Path="+cmpOr(s.opts.ContextPath, "/")+";HttpOnly")
	}
	crumb := s.crumb(user, id)
	s.mu.Unlock()
	o := &object{class: "hudson.security.csrf.DefaultCrumbIssuer"}
	o.ref("crumb", func() any { return crumb })
	o.ref("crumbRequestField", func() any { return crumbField })
	s.serveObject(w, r, func() *object { return o })
}

// allowed checks a permission and answers when it is missing.
func (s *Server) allowed(w http.ResponseWriter, user, permission string) bool {
	s.mu.Lock()
	no := s.denied[permission]
	s.mu.Unlock()
	if no {
		denied(w, user, permission)
	}
	return !no
}

// Deny takes a permission, e.g. hudson.model.Item.Build, from the account; Allow gives it back.
func (s *Server) Deny(permission string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[permission] = true
}

// Allow gives a permission back.
func (s *Server) Allow(permission string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.denied, permission)
}

func cmpOr(a, b string) string {
	if strings.TrimSpace(a) != "" {
		return a
	}
	return b
}
