package hook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// apiServer answers as a Kubernetes API server does for the few requests that this
// package makes: list, watch (with initial events), get, create, patch. It is a server,
// not a client: what is tested includes how requests look.
type apiServer struct {
	*httptest.Server

	mu      sync.Mutex
	version int
	objects map[string]map[string]any // "plural/namespace/name"
	watches map[chan watchEvent]string
	gets    map[string]int
	// answer, when it returns true, has answered instead.
	answer func(w http.ResponseWriter, r *http.Request) bool
}

var kinds = map[string]string{
	"pipelines": "Pipeline", "sourcecoderepositories": "SourceCodeRepository", "sourcecodeproviders": "SourceCodeProvider",
	"pipelineexecutions": "PipelineExecution", "secrets": "Secret",
}

func apiVersion(plural string) string {
	if plural == "secrets" {
		return "v1"
	}
	return "kubectl-pipeline.io/v1alpha1"
}

type watchEvent struct {
	Type   string         `json:"type"`
	Object map[string]any `json:"object"`
}

func newAPIServer(t testing.TB) *apiServer {
	s := &apiServer{objects: map[string]map[string]any{}, watches: map[chan watchEvent]string{}, gets: map[string]int{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *apiServer) clients(t testing.TB) *kube.Clients {
	t.Helper()
	c, err := kube.NewClients(&rest.Config{Host: s.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put stores objects and tells watches of them.
func (s *apiServer) put(t testing.TB, plural string, objects ...metav1.Object) {
	t.Helper()
	for _, o := range objects {
		m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.store(plural, o.GetNamespace(), o.GetName(), m)
		s.mu.Unlock()
	}
}

func (s *apiServer) store(plural, ns, name string, m map[string]any) {
	key := plural + "/" + ns + "/" + name
	typ := "ADDED"
	if _, ok := s.objects[key]; ok {
		typ = "MODIFIED"
	}
	s.version++
	m["apiVersion"], m["kind"] = apiVersion(plural), kinds[plural]
	meta := m["metadata"].(map[string]any)
	meta["resourceVersion"] = fmt.Sprint(s.version)
	meta["namespace"] = ns
	s.objects[key] = m
	for ch, p := range s.watches {
		if p == plural {
			ch <- watchEvent{typ, m}
		}
	}
}

func (s *apiServer) names(plural string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for k := range s.objects {
		if rest, ok := strings.CutPrefix(k, plural+"/"); ok {
			out = append(out, rest)
		}
	}
	return out
}

func (s *apiServer) object(plural, ns, name string, into any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.objects[plural+"/"+ns+"/"+name]
	if !ok {
		return false
	}
	b, _ := json.Marshal(m)
	return json.Unmarshal(b, into) == nil
}

func (s *apiServer) setAnswer(f func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "api" {
		parts = parts[2:]
	} else {
		parts = parts[3:]
	}
	ns, name := "", ""
	if parts[0] == "namespaces" && len(parts) > 2 {
		ns, parts = parts[1], parts[2:]
	}
	plural := parts[0]
	if len(parts) > 1 {
		name = parts[1]
	}
	switch {
	case r.Method == http.MethodGet && name == "" && r.URL.Query().Get("watch") != "":
		s.watch(w, r, plural)
	case r.Method == http.MethodGet && name == "":
		s.mu.Lock()
		items := []any{}
		for k, o := range s.objects {
			if strings.HasPrefix(k, plural+"/") {
				items = append(items, o)
			}
		}
		list := map[string]any{"kind": kinds[plural] + "List", "apiVersion": apiVersion(plural), "metadata": map[string]any{"resourceVersion": fmt.Sprint(s.version)}, "items": items}
		writeJSON(w, http.StatusOK, list)
		s.mu.Unlock()
	case r.Method == http.MethodGet:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gets[plural+"/"+ns+"/"+name]++
		if o, ok := s.objects[plural+"/"+ns+"/"+name]; ok {
			writeJSON(w, http.StatusOK, o)
			return
		}
		writeStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound, "not found")
	case r.Method == http.MethodPost:
		var m map[string]any
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			writeStatus(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		name, _ := m["metadata"].(map[string]any)["name"].(string)
		if _, ok := s.objects[plural+"/"+ns+"/"+name]; ok {
			writeStatus(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, "already exists")
			return
		}
		s.store(plural, ns, name, m)
		writeJSON(w, http.StatusCreated, m)
	case r.Method == http.MethodPatch:
		var patch map[string]any
		_ = json.NewDecoder(r.Body).Decode(&patch)
		s.mu.Lock()
		defer s.mu.Unlock()
		o, ok := s.objects[plural+"/"+ns+"/"+name]
		if !ok {
			writeStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound, "not found")
			return
		}
		b, _ := json.Marshal(o) // watches hold the old one
		var fresh map[string]any
		_ = json.Unmarshal(b, &fresh)
		merge(fresh, patch)
		s.store(plural, ns, name, fresh)
		writeJSON(w, http.StatusOK, fresh)
	default:
		writeStatus(w, http.StatusMethodNotAllowed, metav1.StatusReasonMethodNotAllowed, r.Method)
	}
}

func merge(into, patch map[string]any) {
	for k, v := range patch {
		if sub, ok := v.(map[string]any); ok {
			if old, ok := into[k].(map[string]any); ok {
				merge(old, sub)
				continue
			}
		}
		into[k] = v
	}
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request, plural string) {
	ch := make(chan watchEvent, 4096)
	s.mu.Lock()
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		for k, o := range s.objects {
			if strings.HasPrefix(k, plural+"/") {
				ch <- watchEvent{"ADDED", o}
			}
		}
		ch <- watchEvent{"BOOKMARK", map[string]any{
			"apiVersion": apiVersion(plural), "kind": kinds[plural],
			"metadata": map[string]any{"resourceVersion": fmt.Sprint(s.version), "annotations": map[string]any{metav1.InitialEventsAnnotationKey: "true"}},
		}}
	}
	s.watches[ch] = plural
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watches, ch)
		s.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case e := <-ch:
			s.mu.Lock()
			err := json.NewEncoder(w).Encode(e)
			s.mu.Unlock()
			if err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func writeStatus(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
	writeJSON(w, code, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: message, //nolint:gosec // a status code
	})
}
