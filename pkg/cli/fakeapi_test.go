package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// fakeAPI is an API server as far as the plugin sees one: get, list, watch, create and
// patch of any kind in any namespace, and the faults that a test puts in front of it.
type fakeAPI struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	version  int
	objects  map[string][]byte // by path
	events   []fakeEvent
	changed  chan struct{} // closed and replaced at every event
	requests []string      // "GET /apis/…?…", in order
	// fault answers a request instead of the server, when it returns true.
	fault func(w http.ResponseWriter, r *http.Request) bool
	// watches holds what happens to the next watches, one each; then they just work.
	watches []func(c *watchConn)
	tokens  int
}

type fakeEvent struct {
	version int
	path    string
	kind    string // ADDED, MODIFIED, DELETED
	object  []byte
}

func newFakeAPI(t *testing.T) *fakeAPI {
	f := &fakeAPI{t: t, version: 100, objects: map[string][]byte{}, changed: make(chan struct{})}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Server.CloseClientConnections)
	return f
}

const testNamespace = "shop"

func pathOf(resource, name string) string {
	return "/apis/kubectl-pipeline.io/v1alpha1/namespaces/" + testNamespace + "/" + resource + "/" + name
}

// put stores an object and tells the watches.
func (f *fakeAPI) put(resource string, obj any) {
	f.t.Helper()
	raw, err := json.Marshal(obj)
	if err != nil {
		f.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.store(pathOf(resource, m["metadata"].(map[string]any)["name"].(string)), m)
}

func (f *fakeAPI) store(path string, m map[string]any) []byte {
	f.version++
	meta := m["metadata"].(map[string]any)
	meta["resourceVersion"] = strconv.Itoa(f.version)
	if meta["uid"] == nil {
		meta["uid"] = fmt.Sprintf("uid-%d", f.version)
	}
	if meta["creationTimestamp"] == nil {
		meta["creationTimestamp"] = testNow.Add(-time.Minute).Format(time.RFC3339)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		f.t.Error(err)
	}
	kind := "ADDED"
	if _, ok := f.objects[path]; ok {
		kind = "MODIFIED"
	}
	f.objects[path] = raw
	f.emit(path, kind, raw)
	return raw
}

func (f *fakeAPI) emit(path, kind string, raw []byte) {
	f.events = append(f.events, fakeEvent{f.version, path, kind, raw})
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeAPI) remove(resource, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := pathOf(resource, name)
	f.version++
	raw := f.objects[path]
	delete(f.objects, path)
	f.emit(path, "DELETED", raw)
}

func (f *fakeAPI) execution(name string) *v1alpha1.PipelineExecution {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	pe := &v1alpha1.PipelineExecution{}
	raw, ok := f.objects[pathOf(executionsResource, name)]
	if !ok {
		f.t.Fatalf("no execution %s; there are %v", name, slices.Sorted(maps.Keys(f.objects)))
	}
	if err := json.Unmarshal(raw, pe); err != nil {
		f.t.Fatal(err)
	}
	return pe
}

func (f *fakeAPI) seen(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.RequestURI())
	fault := f.fault
	f.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	body, _ := io.ReadAll(r.Body)
	switch {
	case strings.HasSuffix(r.URL.Path, "/selfsubjectreviews"):
		reply(w, 201, `{"status":{"userInfo":{"username":"ann"}}}`)
	case strings.HasSuffix(r.URL.Path, "/serviceaccounts/pipeline-log-reader/token"):
		f.mu.Lock()
		f.tokens++
		n := f.tokens
		f.mu.Unlock()
		reply(w, 201, fmt.Sprintf(`{"status":{"token":"log-token-%d"}}`, n))
	case r.URL.Query().Get("watch") == "true":
		f.watch(w, r)
	case r.Method == http.MethodGet:
		f.read(w, r)
	case r.Method == http.MethodPost:
		f.create(w, r, body)
	case r.Method == http.MethodPatch:
		f.patch(w, r, body)
	default:
		status(w, 405, "MethodNotAllowed", "no such verb", r.URL.Path)
	}
}

func reply(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, body)
}

// status answers with an error as the API server words it.
func status(w http.ResponseWriter, code int, reason, message, path string) {
	name, resource := "", ""
	if parts := strings.Split(strings.Trim(path, "/"), "/"); len(parts) > 5 {
		resource, name = parts[5], strings.Join(parts[6:], "/")
	}
	reply(w, code, fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d,"details":{"name":%q,"group":"kubectl-pipeline.io","kind":%q}}`,
		message, reason, code, name, resource))
}

func notFound(w http.ResponseWriter, path string) {
	parts := strings.Split(path, "/")
	n := len(parts)
	status(w, 404, "NotFound", fmt.Sprintf("%s.kubectl-pipeline.io %q not found", parts[n-2], parts[n-1]), path)
}

func (f *fakeAPI) read(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if raw, ok := f.objects[r.URL.Path]; ok {
		reply(w, 200, string(raw))
		return
	}
	if strings.Count(r.URL.Path, "/") == 7 {
		notFound(w, r.URL.Path)
		return
	}
	var items []string
	for _, path := range slices.Sorted(maps.Keys(f.objects)) {
		under := strings.HasPrefix(path, r.URL.Path+"/")
		if resource, all := strings.CutPrefix(r.URL.Path, "/apis/kubectl-pipeline.io/v1alpha1/"); all && !strings.Contains(resource, "/") {
			under = strings.Contains(path, "/"+resource+"/")
		}
		if under && selected(f.objects[path], r) {
			items = append(items, string(f.objects[path]))
		}
	}
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	skip, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	next := ""
	items = items[min(skip, len(items)):]
	if limit > 0 && len(items) > limit {
		items, next = items[:limit], strconv.Itoa(skip+limit)
	}
	kind := "PipelineExecutionList"
	if strings.HasSuffix(r.URL.Path, pipelinesResource) {
		kind = "PipelineList"
	}
	reply(w, 200, fmt.Sprintf(`{"apiVersion":"kubectl-pipeline.io/v1alpha1","kind":%q,"metadata":{"resourceVersion":"%d","continue":%q},"items":[%s]}`,
		kind, f.version, next, strings.Join(items, ",")))
}

func selected(raw []byte, r *http.Request) bool {
	var o struct {
		Metadata struct {
			Name   string            `json:"name"`
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	_ = json.Unmarshal(raw, &o)
	if name, ok := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name="); ok && name != o.Metadata.Name {
		return false
	}
	for term := range strings.SplitSeq(r.URL.Query().Get("labelSelector"), ",") {
		if k, v, ok := strings.Cut(term, "="); ok && o.Metadata.Labels[k] != v {
			return false
		}
	}
	return true
}

func (f *fakeAPI) create(w http.ResponseWriter, r *http.Request, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		status(w, 400, "BadRequest", err.Error(), r.URL.Path)
		return
	}
	path := r.URL.Path + "/" + m["metadata"].(map[string]any)["name"].(string)
	if _, ok := f.objects[path]; ok {
		status(w, 409, "AlreadyExists", "already exists", path)
		return
	}
	if r.URL.Query().Get("dryRun") != "" {
		m["metadata"].(map[string]any)["uid"] = "dry"
		raw, _ := json.Marshal(m)
		reply(w, 201, string(raw))
		return
	}
	reply(w, 201, string(f.store(path, m)))
}

func (f *fakeAPI) patch(w http.ResponseWriter, r *http.Request, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	raw, ok := f.objects[r.URL.Path]
	if !ok {
		notFound(w, r.URL.Path)
		return
	}
	var m, change map[string]any
	_ = json.Unmarshal(raw, &m)
	if err := json.Unmarshal(body, &change); err != nil {
		status(w, 400, "BadRequest", err.Error(), r.URL.Path)
		return
	}
	merge(m, change)
	reply(w, 200, string(f.store(r.URL.Path, m)))
}

// merge is RFC 7396 for patches that remove nothing.
func merge(into, change map[string]any) {
	for k, v := range change {
		if sub, ok := v.(map[string]any); ok {
			if old, ok := into[k].(map[string]any); ok {
				merge(old, sub)
				continue
			}
		}
		into[k] = v
	}
}

// watchConn is one watch as the server sees it.
type watchConn struct {
	w http.ResponseWriter
	r *http.Request
	f *fakeAPI
}

func (c *watchConn) send(kind string, object []byte) {
	fmt.Fprintf(c.w, `{"type":%q,"object":%s}`+"\n", kind, object)
	c.w.(http.Flusher).Flush()
}

func (c *watchConn) status(code int, reason string) {
	c.send("ERROR", fmt.Appendf(nil, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"scripted"}`, reason, code))
}

// serve sends what happens from the version on that was asked for, until stop.
func (c *watchConn) serve(stop <-chan struct{}) {
	from, _ := strconv.Atoi(c.r.URL.Query().Get("resourceVersion"))
	for {
		c.f.mu.Lock()
		var news []fakeEvent
		for _, e := range c.f.events {
			if e.version > from && strings.HasPrefix(e.path, c.r.URL.Path+"/") && selected(e.object, c.r) {
				news = append(news, e)
			}
		}
		from = c.f.version
		changed := c.f.changed
		c.f.mu.Unlock()
		for _, e := range news {
			c.send(e.kind, e.object)
		}
		select {
		case <-changed:
		case <-stop:
			return
		case <-c.r.Context().Done():
			return
		}
	}
}

func (f *fakeAPI) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	c := &watchConn{w, r, f}
	f.mu.Lock()
	var script func(*watchConn)
	if len(f.watches) > 0 {
		script, f.watches = f.watches[0], f.watches[1:]
	}
	f.mu.Unlock()
	if script != nil {
		script(c)
		return
	}
	c.serve(nil)
}

// testNow is the time in every test.
var testNow = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// world is the plugin in front of a fake API server.
type world struct {
	t       *testing.T
	api     *fakeAPI
	env     map[string]string
	in      string
	screen  screen
	signals chan os.Signal
	kubecfg string

	mu     sync.Mutex
	pauses []time.Duration
	// paused is called at each pause, for tests that change the world in one.
	paused func(n int)
}

func newWorld(t *testing.T) *world {
	api := newFakeAPI(t)
	w := &world{t: t, api: api, env: map[string]string{"LANG": "C.UTF-8"}, signals: make(chan os.Signal, 4), kubecfg: t.TempDir() + "/config"}
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":%q}}],"users":[{"name":"local-ann","user":{"token":"secret-token"}}],
"contexts":[{"name":"c","context":{"cluster":"c","user":"local-ann","namespace":%q}}]}`, api.URL, testNamespace)
	if err := os.WriteFile(w.kubecfg, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

type outcome struct {
	code     int
	out, err string
}

// lockedBuffer is a stream that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (w *world) app(out, errOut io.Writer) *app {
	return &app{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(w.in), Out: out, ErrOut: errOut},
		now:       func() time.Time { return testNow },
		getenv:    func(k string) string { return w.env[k] },
		screen:    func(io.Writer) screen { return w.screen },
		pause: func(ctx context.Context, d time.Duration) error {
			w.mu.Lock()
			w.pauses = append(w.pauses, d)
			n, paused := len(w.pauses), w.paused
			w.mu.Unlock()
			if paused != nil {
				paused(n)
			}
			return ctx.Err()
		},
	}
}

// run runs the plugin to its end.
func (w *world) run(args ...string) outcome {
	w.t.Helper()
	var out, errOut lockedBuffer
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	code := w.app(&out, &errOut).run(ctx, append([]string{"kubectl-pipeline", "--kubeconfig", w.kubecfg}, args...), w.signals)
	if ctx.Err() != nil {
		w.t.Fatalf("%v did not end; so far:\n%s%s", args, out.String(), errOut.String())
	}
	return outcome{code, out.String(), errOut.String()}
}
