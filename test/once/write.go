package once

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// write is a request that changes something, on its way from a hookd to the API server
// or to Jenkins.
type write struct {
	// name says what it does, without the names of whom it is about: two runs of the same
	// pipeline write the same.
	name string
	// about is where it says whom it is about.
	about string
	// admitted and recorded are of a status: a build may be triggered; a build is known.
	admitted, recorded bool
	jenkins, lease     bool
}

func (w write) isAbout(project string) bool { return strings.Contains(w.about, project) }

// readWrite is false for a request that changes nothing.
func readWrite(r *http.Request, body []byte, jenkins bool) (write, bool) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return write{}, false
	}
	w := write{jenkins: jenkins, about: r.URL.Path + "?" + r.URL.RawQuery + "\n" + string(body)}
	if jenkins {
		w.name = nameOfJenkins(r, body)
		return w, true
	}
	resource, sub := resourceOf(r.URL.Path)
	w.lease = resource == "leases"
	w.name = strings.TrimSuffix(r.Method+" "+resource+"/"+sub, "/")
	if resource == "pipelineexecutions" && sub == "status" {
		var e v1alpha1.PipelineExecution
		if json.Unmarshal(body, &e) == nil {
			w.name += fmt.Sprintf(" %s %s", e.Status.Phase, e.Status.Reason)
			w.admitted = e.Status.Engine != nil
			w.recorded = w.admitted && e.Status.Engine.Build != 0
			if w.recorded {
				w.name += " with a build"
			}
		}
	}
	return w, true
}

var namespaced = regexp.MustCompile(`^/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/([a-z]+)(?:/[^/]+)?(?:/([a-z]+))?$`)

// resourceOf reads the path of an API request.
func resourceOf(path string) (resource, sub string) {
	m := namespaced.FindStringSubmatch(path)
	if m == nil {
		return path, ""
	}
	return m[1], m[2]
}

var jobSegment = regexp.MustCompile(`/job/[^/]+`)

func nameOfJenkins(r *http.Request, body []byte) string {
	what := jobSegment.ReplaceAllString(r.URL.Path, "/job")
	if strings.HasSuffix(what, "/createItem") {
		what = "createItem of a job"
		if bytes.Contains(body, []byte("folder.Folder")) {
			what = "createItem of a folder"
		}
	}
	return "Jenkins: " + r.Method + " " + what
}
