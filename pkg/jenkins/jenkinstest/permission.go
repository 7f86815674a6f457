package jenkinstest

import (
	"net/http"
	"slices"
	"strings"
)

// Permissions that the double asks for, as Jenkins names them.
const (
	PermOverallRead  = "hudson.model.Hudson.Read"
	PermManage       = "hudson.model.Hudson.Manage"
	PermSystemRead   = "hudson.model.Hudson.SystemRead"
	PermRead         = "hudson.model.Item.Read"
	PermDiscover     = "hudson.model.Item.Discover"
	PermExtendedRead = "hudson.model.Item.ExtendedRead"
	PermCreate       = "hudson.model.Item.Create"
	PermConfigure    = "hudson.model.Item.Configure"
	PermDelete       = "hudson.model.Item.Delete"
	PermBuild        = "hudson.model.Item.Build"
	PermCancel       = "hudson.model.Item.Cancel"
	PermRunDelete    = "hudson.model.Run.Delete"
	PermRunUpdate    = "hudson.model.Run.Update"

	PermCredentialsView   = "com.cloudbees.plugins.credentials.CredentialsProvider.View"
	PermCredentialsCreate = "com.cloudbees.plugins.credentials.CredentialsProvider.Create"
	PermCredentialsUpdate = "com.cloudbees.plugins.credentials.CredentialsProvider.Update"
	PermCredentialsDelete = "com.cloudbees.plugins.credentials.CredentialsProvider.Delete"
)

// impliedBy are permissions that come with another one.
var impliedBy = map[string]string{PermExtendedRead: PermConfigure}

// Denial is a permission that was taken away. Everybody has all permissions but Discover, which counts only where Read is denied:
// who lacks both is told 404, as if the item were not there; who has Discover alone is told 403.
type Denial struct {
	Permission string `json:"permission"`     // e.g. hudson.model.Item.Build
	User       string `json:"user,omitempty"` // "" : every account
	Item       string `json:"item,omitempty"` // full name of a folder or job: it, and what is in it; "" : everywhere
}

// Deny takes a permission from everybody, everywhere; Allow gives it back.
func (s *Server) Deny(permission string) { s.DenyAt(Denial{Permission: permission}) }

// Allow undoes [Server.Deny].
func (s *Server) Allow(permission string) { s.AllowAt(Denial{Permission: permission}) }

// DenyAt takes a permission away. Of [PermDiscover] it is the opposite: AllowAt gives what nobody has, DenyAt takes it back.
func (s *Server) DenyAt(d Denial) { s.setDenial(d, d.Permission != PermDiscover) }

// AllowAt undoes [Server.DenyAt] of the same denial.
func (s *Server) AllowAt(d Denial) { s.setDenial(d, d.Permission == PermDiscover) }

func (s *Server) setDenial(d Denial, listed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denials = slices.DeleteFunc(s.denials, func(other Denial) bool { return other == d })
	if listed {
		s.denials = append(s.denials, d)
	}
}

// listed tells whether a denial (or, of Discover, a grant) covers a user and an item. Called with the lock held.
func (s *Server) listed(it *item, user, permission string) bool {
	for _, d := range s.denials {
		if d.Permission == permission && (d.User == "" || d.User == user) && (d.Item == "" || it != nil && it.within(d.Item)) {
			return true
		}
	}
	return false
}

// has tells whether a user has a permission on an item; nil and the root are Jenkins itself. Called with the lock held.
func (s *Server) has(it *item, user, permission string) bool {
	if !s.listed(it, user, permission) {
		return true
	}
	more, ok := impliedBy[permission]
	return ok && s.has(it, user, more)
}

// sees tells whether an item is shown to a user. Called with the lock held.
func (s *Server) sees(it *item, user string) bool {
	for ; it != nil && it.parent != nil; it = it.parent {
		if !s.has(it, user, PermRead) {
			return false
		}
	}
	return true
}

// discovers tells whether a user who may not read an item is at least told that it exists.
func (s *Server) discovers(it *item, user string) bool { return s.listed(it, user, PermDiscover) }

// allowed checks a permission and answers when it is missing.
func (s *Server) allowed(w http.ResponseWriter, it *item, user, permission string) bool {
	s.mu.Lock()
	ok := s.has(it, user, permission)
	s.mu.Unlock()
	if !ok {
		denied(w, user, permission)
	}
	return ok
}

// within tells whether an item is the one of that full name, or in it.
func (it *item) within(full string) bool {
	name := it.fullName()
	return strings.EqualFold(name, full) || len(name) > len(full) && name[len(full)] == '/' && strings.EqualFold(name[:len(full)], full)
}
