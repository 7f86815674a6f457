package jenkinstest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

// Without -short, the tests run where clusters can have real nodes.
func TestMain(m *testing.M) {
	flag.Parse()
	run := m.Run
	if !testing.Short() {
		run = func() int { return cluster.Main(m) }
	}
	code := run()
	// The heartbeat of an exec ends up to five seconds after its connection was closed; it holds nothing.
	if err := goleak.Find(goleak.IgnoreTopFunction("k8s.io/client-go/tools/remotecommand.(*heartbeat).start")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code) //nolint:forbidigo // this is a main
}

// fixture is a double, spoken to over plain HTTP: these tests must not depend on our client.
type fixture struct {
	*jenkinstest.Server
	url    string
	client *http.Client
	close  func()
}

func newFixture(t *testing.T, opts jenkinstest.Options) *fixture {
	t.Helper()
	f := &fixture{Server: jenkinstest.New(opts)}
	srv := httptest.NewServer(f.Server)
	f.url = srv.URL + opts.ContextPath
	transport := &http.Transport{}
	f.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	f.close = sync.OnceFunc(func() {
		srv.CloseClientConnections()
		srv.Close()
		f.Server.Close()
		transport.CloseIdleConnections()
	})
	t.Cleanup(f.close)
	return f
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends one request. header is pairs of names and values.
func (f *fixture) do(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "basic" {
			user, secret, _ := strings.Cut(header[i+1], ":")
			req.SetBasicAuth(user, secret)
			continue
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

func (f *fixture) get(t *testing.T, path string) reply { t.Helper(); return f.do(t, "GET", path, "") }

func (f *fixture) post(t *testing.T, path string, form ...string) reply {
	t.Helper()
	return f.do(t, "POST", path, strings.Join(form, "&"), "Content-Type", "application/x-www-form-urlencoded")
}

func (f *fixture) want(t *testing.T, what string, got reply, status int) reply {
	t.Helper()
	if got.status != status {
		t.Fatalf("%s: status %d, want %d\n%s", what, got.status, status, got.body)
	}
	return got
}

func configOf(script string, extra ...string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(script))
	return `<?xml version='1.1' encoding='UTF-8'?><flow-definition><description>d</description><properties>` +
		`<hudson.model.ParametersDefinitionProperty><parameterDefinitions><hudson.model.StringParameterDefinition><name>EXECUTION_UID</name>` +
		`<defaultValue>none</defaultValue></hudson.model.StringParameterDefinition></parameterDefinitions></hudson.model.ParametersDefinitionProperty>` +
		`<org.jenkinsci.plugins.workflow.job.properties.DisableConcurrentBuildsJobProperty/>` + strings.Join(extra, "") +
		`</properties><definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>` + b.String() +
		`</script><sandbox>true</sandbox></definition></flow-definition>`
}

const folderConfig = `<com.cloudbees.hudson.plugins.folder.Folder/>`

func (f *fixture) create(t *testing.T, parent, name, config string) reply {
	t.Helper()
	return f.do(t, "POST", parent+"/createItem?name="+url.QueryEscape(name), config, "Content-Type", "application/xml")
}

// make creates folder/name with a script, and the folder when it is missing.
func (f *fixture) make(t *testing.T, full, script string) {
	t.Helper()
	folder, name, _ := strings.Cut(full, "/")
	f.create(t, "", folder, folderConfig)
	f.want(t, "create job", f.create(t, "/job/"+url.PathEscape(folder), name, configOf(script)), 200)
}

// run makes a job and starts its first build.
func (f *fixture) run(t *testing.T, full, script string) {
	t.Helper()
	f.make(t, full, script)
	f.want(t, "start", f.post(t, "/job/"+strings.NewReplacer("/", "/job/", " ", "%20").Replace(full)+"/buildWithParameters?delay=0sec", "EXECUTION_UID=uid"), 201)
}

func (f *fixture) wait(t *testing.T, full string) jenkinstest.BuildInfo {
	t.Helper()
	var b jenkinstest.BuildInfo
	eventually(t, "the end of "+full, func() bool {
		builds := f.Builds(full)
		if len(builds) > 0 {
			b = builds[0]
		}
		return len(builds) > 0 && !b.Building
	})
	return b
}

func (f *fixture) logged(t *testing.T, full, text string) {
	t.Helper()
	eventually(t, "the log line "+text, func() bool {
		builds := f.Builds(full)
		return len(builds) > 0 && strings.Contains(builds[0].Log, text)
	})
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(90 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("%s did not happen within 90 s", what)
		case <-tick.C:
		}
	}
}

// blockingAgents run steps that ignore every signal until block is closed.
type blockingAgents struct{ block chan struct{} }

func (b blockingAgents) Provision(ctx context.Context, req jenkinstest.NodeRequest, log io.Writer) (jenkinstest.Agent, error) {
	return jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		<-b.block
		return jenkinstest.Result{}
	}).Provision(ctx, req, log)
}

func (blockingAgents) Close() error { return nil }

// slowAgents never have one.
type slowAgents struct{}

func (*slowAgents) Provision(ctx context.Context, _ jenkinstest.NodeRequest, _ io.Writer) (jenkinstest.Agent, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (*slowAgents) Close() error { return nil }

func decode(t *testing.T, r reply) map[string]any {
	t.Helper()
	if ct := r.header.Get("Content-Type"); r.status != 200 || !strings.HasPrefix(ct, "application/json") {
		t.Fatalf("status %d, type %s, want JSON:\n%s", r.status, ct, r.body)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

const start = "/job/f/job/j/buildWithParameters?delay=0sec"
