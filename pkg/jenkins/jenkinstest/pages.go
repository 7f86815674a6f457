package jenkinstest

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

func page(w http.ResponseWriter, status int, title, text string) {
	w.Header().Set("Content-Type", "text/html;charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache,no-store,must-revalidate")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html><html><head><title>%s</title><script>var x = '<b>';</script></head><body id=\"jenkins\">"+
		"<h1>%s</h1><p>%s</p></body></html>\n", html.EscapeString(title), html.EscapeString(title), html.EscapeString(text))
}

// oops is Jenkins' answer to an exception.
func oops(w http.ResponseWriter, text string) {
	page(w, http.StatusInternalServerError, "Oops!", "A problem occurred while processing the request. Logging ID=00000000-0000. "+text)
}

func notFound(w http.ResponseWriter) {
	page(w, http.StatusNotFound, "Not Found - Jenkins", "Oops! Not Found")
}

// xError answers as Jenkins' Failure does. Jetty writes headers in ISO-8859-1: the typographic quotes become question marks.
func xError(w http.ResponseWriter, text string) {
	w.Header().Set("X-Error", strings.Map(func(r rune) rune {
		if r > 0xFF {
			return '?'
		}
		return r
	}, text))
	page(w, http.StatusBadRequest, "Error", text)
}

func denied(w http.ResponseWriter, user, permission string) {
	w.Header().Set("X-You-Are-Authenticated-As", user)
	w.Header().Set("X-Required-Permission", permission)
	w.Header().Set("X-Permission-Implied-By", "hudson.model.Hudson.Administer")
	page(w, http.StatusForbidden, "Access Denied", user+" is missing the "+permission+" permission")
}

func methodNotAllowed(w http.ResponseWriter) {
	w.Header().Set("Allow", "POST")
	page(w, http.StatusMethodNotAllowed, "Form post required", "This URL requires POST")
}
