package hook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Results, the closed set that metrics and logs use.
const (
	resultCreated      = "created"      // 202: everything that it starts is stored
	resultDuplicate    = "duplicate"    // 200: it was all there before
	resultNothing      = "nothing"      // 200: authentic, but starts nothing
	resultUndecodable  = "undecodable"  // 422: authentic, but not what the host documents
	resultUnauthorized = "unauthorized" // 401
	resultUnknownPath  = "unknown_path" // 404
	resultNoSecret     = "no_secret"    // 503: closed until it has one
	resultRefused      = "refused"      // 405, 413, 415, 400, 501
	resultOverloaded   = "overloaded"   // 429, 503
	resultUnavailable  = "unavailable"  // 503: could not be stored; send it again
	resultRejected     = "rejected"     // 500: the API server will never store it
	resultError        = "error"        // 500: a bug of ours
)

// skipped is a pipeline that a delivery does not start, and why.
type skipped struct {
	Pipeline string `json:"pipeline"`
	Reason   string `json:"reason"`
}

// answer is what a sender gets, as JSON.
type answer struct {
	status int
	result string

	// DeliveryID names the delivery in hookd's log and in the runs.
	DeliveryID string `json:"deliveryID,omitempty"`
	// Created and Existing are names of PipelineExecutions: stored by this request, and
	// found stored before.
	Created  []string  `json:"created,omitempty"`
	Existing []string  `json:"existing,omitempty"`
	Skipped  []skipped `json:"skipped,omitempty"`
	// Reason says why nothing was started.
	Reason string `json:"reason,omitempty"`
	// Error says what is wrong, of a status from 400 on.
	Error string `json:"error,omitempty"`
}

func unavailable(why string) answer {
	return answer{status: http.StatusServiceUnavailable, result: resultUnavailable, Error: why}
}

func overloaded(why string) answer {
	return answer{status: http.StatusServiceUnavailable, result: resultOverloaded, Error: why}
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	switch a.status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(int(RetryAfter.Seconds())))
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodPost)
	}
	body, err := json.Marshal(a)
	if err != nil { // strings only: it cannot be
		body = []byte("{}")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(append(body, '\n')) // a sender that is gone will repeat it
}

// summary is the answer in a line for people, for the repository's status.
func (a answer) summary() string {
	switch {
	case a.Error != "":
		return a.Error
	case len(a.Created)+len(a.Existing) > 0:
		s := "started " + strings.Join(a.Created, ", ")
		if len(a.Created) == 0 {
			s = "had started " + strings.Join(a.Existing, ", ")
		}
		return shorten(s, 1024)
	case a.Reason != "":
		return "started nothing: " + a.Reason
	}
	var reasons []string
	for _, s := range a.Skipped {
		reasons = append(reasons, fmt.Sprintf("%s: %s", s.Pipeline, s.Reason))
	}
	return shorten("started nothing: "+strings.Join(reasons, "; "), 1024)
}

func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
