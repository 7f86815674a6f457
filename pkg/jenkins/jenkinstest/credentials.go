package jenkinstest

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// credential is one entry of a store. Guarded by Server.mu.
type credential struct {
	id, class, description string
	config                 string // as it was posted
}

// credentialTypes are the classes that plugins bring, with the name that people see. Others cannot be resolved.
var credentialTypes = map[string]string{
	"com.cloudbees.plugins.credentials.impl.UsernamePasswordCredentialsImpl":   "Username with password",
	"com.cloudbees.jenkins.plugins.sshcredentials.impl.BasicSSHUserPrivateKey": "SSH Username with private key",
	"org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl":        "Secret text",
	"org.jenkinsci.plugins.plaincredentials.impl.FileCredentialsImpl":          "Secret file",
	"com.cloudbees.plugins.credentials.impl.CertificateCredentialsImpl":        "Certificate",
	"org.jenkinsci.plugins.docker.commons.credentials.DockerServerCredentials": "X.509 Client Certificate",
}

func parseCredential(text string) (*credential, error) {
	c := &credential{config: text}
	err := parseXML(text, func(path []string, _ string) error {
		if len(path) == 1 {
			if c.class = path[0]; credentialTypes[c.class] == "" {
				return fmt.Errorf("com.thoughtworks.xstream.mapper.CannotResolveClassException: %s", c.class)
			}
		}
		return nil
	}, func(path []string, text string) {
		switch strings.Join(path[1:], "/") {
		case "id":
			c.id += text
		case "description":
			c.description += text
		}
	}, func([]string) {})
	if strings.TrimSpace(c.id) == "" {
		c.id = randomHex(16) // Jenkins makes one up
	}
	return c, err
}

const secrets = `password|secret|secretBytes|passphrase|privateKey|clientKey|uploadedKeystoreBytes`

var secretElement = regexp.MustCompile(`(?s)<(` + secrets + `)\b[^>]*>.*?</(?:` + secrets + `)>`)

// redacted is a credential as Jenkins shows it: without secrets.
func (c *credential) redacted() string {
	text := declaration.ReplaceAllString(c.config, "")
	return secretElement.ReplaceAllString(text, "<$1>\n    <secret-redacted/>\n  </$1>")
}

// Credentials lists the ids of all credentials: "system/id", and "folder/sub/id" of folders. They are sorted.
func (s *Server) Credentials() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	s.root.walk(func(it *item) {
		for _, c := range it.credentials {
			all = append(all, cmpOr(it.fullName(), "system")+"/"+c.id)
		}
	})
	slices.Sort(all)
	return all
}

// routeCredentials answers credentials/store/{system,folder}/domain/_/…, the plugin's REST API. There is the global domain only.
func (s *Server) routeCredentials(w http.ResponseWriter, r *http.Request, it *item, segs []string, user string) {
	store := "folder"
	if it == s.root {
		store = "system"
	}
	prefix := []string{"credentials", "store", store, "domain", "_"}
	if len(segs) < len(prefix) || !slices.Equal(segs[:len(prefix)], prefix) {
		notFound(w)
		return
	}
	segs = segs[len(prefix):]
	switch {
	case len(segs) == 0:
		page(w, http.StatusOK, "Global credentials (unrestricted) - Jenkins", "Credentials")
	case isAPI(segs):
		if s.allowed(w, it, user, PermCredentialsView) {
			s.serveObject(w, r, func() *object { return s.domainObject(it) })
		}
	case len(segs) == 1 && segs[0] == "createCredentials":
		s.createCredential(w, r, it, user)
	case len(segs) >= 2 && segs[0] == "credential":
		s.mu.Lock()
		i := slices.IndexFunc(it.credentials, func(c *credential) bool { return c.id == segs[1] })
		var c *credential
		if i >= 0 {
			c = it.credentials[i]
		}
		s.mu.Unlock()
		if c == nil {
			notFound(w)
			return
		}
		s.routeCredential(w, r, it, c, segs[2:], user)
	default:
		notFound(w)
	}
}

func (s *Server) createCredential(w http.ResponseWriter, r *http.Request, it *item, user string) {
	if !post(w, r) || !s.allowed(w, it, user, PermCredentialsCreate) {
		return
	}
	ctype := r.Header.Get("Content-Type")
	if ctype == "" {
		xError(w, "No Content-Type header set")
		return
	}
	if !strings.HasPrefix(ctype, "application/xml") && !strings.HasPrefix(ctype, "text/xml") {
		page(w, http.StatusBadRequest, "Error 400", "This page expects a form submission")
		return
	}
	text, err := readText(w, r)
	var c *credential
	if err == nil {
		c, err = parseCredential(text)
	}
	if err != nil {
		oops(w, "java.io.IOException: Failed to parse credential: "+err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(it.credentials, func(other *credential) bool { return other.id == c.id }) {
		w.WriteHeader(http.StatusConflict)
		return
	}
	it.credentials = append(it.credentials, c)
}

func (s *Server) routeCredential(w http.ResponseWriter, r *http.Request, it *item, c *credential, segs []string, user string) {
	verb := ""
	if len(segs) == 1 {
		verb = segs[0]
	}
	remove := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		it.credentials = slices.DeleteFunc(it.credentials, func(other *credential) bool { return other == c })
	}
	switch {
	case isAPI(segs):
		if s.allowed(w, it, user, PermCredentialsView) {
			s.serveObject(w, r, func() *object { return credentialObject(it, c) })
		}
	case verb == "doDelete":
		if post(w, r) && s.allowed(w, it, user, PermCredentialsDelete) {
			remove()
			redirect(w, "../..")
		}
	case verb != "config.xml":
		notFound(w)
	case r.Method == http.MethodGet:
		if s.allowed(w, it, user, PermCredentialsView) {
			s.mu.Lock()
			text := c.redacted()
			s.mu.Unlock()
			w.Header().Set("Content-Type", "application/xml")
			_, _ = io.WriteString(w, text)
		}
	case r.Method == http.MethodDelete:
		if s.allowed(w, it, user, PermCredentialsDelete) {
			remove()
		}
	case r.Method == http.MethodPost:
		if s.allowed(w, it, user, PermCredentialsUpdate) {
			s.updateCredential(w, r, c)
		}
	default:
		page(w, http.StatusBadRequest, "Error 400", "Bad Request")
	}
}

func (s *Server) updateCredential(w http.ResponseWriter, r *http.Request, c *credential) {
	text, err := readText(w, r)
	var fresh *credential
	if err == nil {
		fresh, err = parseCredential(text)
	}
	if err != nil {
		oops(w, "java.io.IOException: Failed to parse credential: "+err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*c = *fresh
}

func (s *Server) domainObject(it *item) *object {
	o := &object{class: "com.cloudbees.plugins.credentials.CredentialsStoreAction$DomainWrapper"}
	o.add("credentials", func() any {
		return list{len(it.credentials), func(i int) *object { return credentialObject(it, it.credentials[i]) }}
	})
	o.add("description", func() any {
		return "Credentials that should be available irrespective of domain specification to requirements matching."
	})
	o.add("displayName", func() any { return "Global credentials (unrestricted)" })
	o.add("fullName", func() any { return domainName(it) })
	o.add("global", func() any { return true })
	o.add("urlName", func() any { return "_" })
	return o
}

func domainName(it *item) string {
	if it.parent == nil {
		return "system/_"
	}
	return it.fullName() + "/folder/_"
}

func credentialObject(it *item, c *credential) *object {
	o := &object{class: "com.cloudbees.plugins.credentials.CredentialsStoreAction$CredentialsWrapper"}
	o.ref("id", func() any { return c.id })
	o.ref("displayName", func() any { return cmpOr(c.description, c.id) })
	o.ref("description", func() any { return c.description })
	o.ref("fullName", func() any { return domainName(it) + "/" + c.id })
	o.ref("typeName", func() any { return credentialTypes[c.class] })
	o.ref("fingerprint", func() any { return nil })
	return o
}
