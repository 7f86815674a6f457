package foreign

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bndr/gojenkins"
	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

const jobXML = `<?xml version='1.1' encoding='UTF-8'?><flow-definition><description>d</description><properties>
<hudson.model.ParametersDefinitionProperty><parameterDefinitions><hudson.model.StringParameterDefinition><name>WHO</name><defaultValue>x</defaultValue>
</hudson.model.StringParameterDefinition></parameterDefinitions></hudson.model.ParametersDefinitionProperty></properties>
<definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"><script>SCRIPT</script><sandbox>true</sandbox></definition></flow-definition>`

func jobWith(command string) string {
	return strings.Replace(jobXML, "SCRIPT", "podTemplate(yaml: 'kind: Pod') {\nnode(POD_LABEL) {\nstage('s') {\n"+command+"\n}\n}\n}", 1)
}

// dial makes a client over gojenkins' own requester.
func dial(t *testing.T, opts jenkinstest.Options) (*jenkinstest.Server, *gojenkins.Jenkins, context.Context) {
	t.Helper()
	double, url := serve(t, opts)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	var auth []any
	if opts.User != "" {
		auth = []any{opts.User, opts.Token + opts.Password}
	}
	j, err := gojenkins.CreateJenkins(&http.Client{Transport: transport}, url, auth...).Init(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if j.Version == "" || !j.Raw.UseSecurity && opts.User != "" {
		t.Errorf("version %q, raw %+v", j.Version, j.Raw)
	}
	return double, j, ctx
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline.C:
			t.Fatalf("%s did not happen within a minute", what)
		case <-tick.C:
		}
	}
}

func ok(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// isPage tells whether an error is gojenkins' way of saying that the answer was a page of HTML: after the redirect of an action that
// succeeded, and for every 404 and 500.
func isPage(err error) bool {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	return ok && strings.Contains(syntax.Error(), "invalid character '<'")
}

func TestGojenkins(t *testing.T) {
	for name, opts := range map[string]jenkinstest.Options{
		"a token":                     {User: "u", Token: "t", Crumbs: true},
		"a password, with crumbs":     {User: "u", Password: "pw", Crumbs: true},
		"without crumbs, old":         {User: "u", Password: "pw", Version: "2.401.3"},
		"nobody, and the latest logs": {Crumbs: true, Version: "2.541.1"},
	} {
		t.Run(name, func(t *testing.T) {
			double, j, ctx := dial(t, opts)
			_, err := j.CreateJobInFolder(ctx, "<com.cloudbees.hudson.plugins.folder.Folder/>", "f")
			ok(t, "create a folder from XML", err)
			job, err := j.CreateJobInFolder(ctx, jobWith("sh(script: 'say hello')"), "j", "f")
			ok(t, "create a job", err)
			if job.Raw.FullName != "f/j" || len(job.Raw.Property[0].ParameterDefinitions) != 1 {
				t.Errorf("job = %+v", job.Raw)
			}
			_, err = j.CreateJob(ctx, "<project/>", "free")
			ok(t, "create another", err)
			if _, err := j.CreateJob(ctx, "<project/>", "FREE"); err == nil || err.Error() != "A job already exists with the name ?FREE?" {
				t.Errorf("an existing name: %v", err)
			}
			ok(t, "update", job.UpdateConfig(ctx, jobWith("sh(script: 'say hello again')")))
			config, err := job.GetConfig(ctx)
			ok(t, "read config", err)
			if !strings.HasPrefix(config, `<?xml version="1.1"`) || !strings.Contains(config, "hello again") {
				t.Errorf("config = %s", config)
			}
			names, err := j.GetAllJobNames(ctx)
			ok(t, "list", err)
			if len(names) != 2 || names[0].Name != "f" || names[1].Name != "free" {
				t.Errorf("jobs = %+v", names)
			}

			id, err := job.InvokeSimple(ctx, map[string]string{"WHO": "a b&c"})
			ok(t, "trigger", err)
			var number int64
			eventually(t, "the build", func() bool {
				task, err := j.GetQueueItem(ctx, id)
				ok(t, "queue item", err)
				number = task.Raw.Executable.Number
				return number > 0
			})
			build, err := job.GetBuild(ctx, number)
			ok(t, "build", err)
			eventually(t, "its end", func() bool { return !build.IsRunning(ctx) })
			if p := build.GetParameters(); build.GetResult() != "SUCCESS" || len(p) != 1 || p[0].Value != "a b&c" || !build.IsGood(ctx) {
				t.Errorf("result %s, parameters %v", build.GetResult(), p)
			}
			if status, err := build.Poll(ctx); status != 200 || err != nil {
				t.Errorf("poll: %d, %v", status, err)
			}
			if text := build.GetConsoleOutput(ctx); !strings.Contains(text, "\nhello again\n") || strings.Contains(text, "\x1b") {
				t.Errorf("console = %q", text)
			}
			console, err := build.GetConsoleOutputFromIndex(ctx, 0)
			ok(t, "log", err)
			if console.HasMoreText || console.Offset == 0 || !strings.Contains(console.Content, "\r\nhello again\r\n") {
				t.Errorf("log = %+v", console)
			}
			ids, err := job.GetAllBuildIds(ctx)
			ok(t, "builds", err)
			if len(ids) != 1 || ids[0].Number != 1 {
				t.Errorf("builds = %+v", ids)
			}
			last, err := job.GetLastSuccessfulBuild(ctx) // of what it knew of the job before the build
			if last != nil || !isPage(err) {
				t.Errorf("last = %v, %v", last, err)
			}
			runs, err := job.GetPipelineRuns(ctx)
			ok(t, "runs", err)
			if len(runs) != 1 || runs[0].Status != "SUCCESS" || len(runs[0].Stages) != 1 || runs[0].Stages[0].Name != "s" {
				t.Errorf("runs = %+v", runs)
			}
			plugin, err := j.HasPlugin(ctx, "pipeline-rest-api")
			ok(t, "plugins", err)
			if plugin == nil || !plugin.Enabled {
				t.Errorf("plugin = %+v", plugin)
			}
			nodes, err := j.GetAllNodes(ctx)
			ok(t, "nodes", err)
			if len(nodes) != 1 || nodes[0].Raw.DisplayName != "Built-In Node" {
				t.Errorf("nodes = %+v", nodes)
			}
			disabled, err := job.Disable(ctx)
			if disabled || !isPage(err) || double.Snapshot(false).Jobs[0] != "f/j" {
				t.Errorf("disable: %t, %v", disabled, err)
			}
			if _, err := job.InvokeSimple(ctx, map[string]string{"WHO": "x"}); !isPage(err) {
				t.Errorf("trigger what is disabled: %v", err)
			}
		})
	}
}

func TestGojenkinsCredentials(t *testing.T) {
	double, j, ctx := dial(t, jenkinstest.Options{User: "u", Token: "t"})
	_, err := j.CreateJobInFolder(ctx, "<com.cloudbees.hudson.plugins.folder.Folder/>", "f")
	ok(t, "folder", err)
	for folder, store := range map[string]string{"": "system", "f": "f"} {
		cm := gojenkins.CredentialsManager{J: j, Folder: folder}
		creds := gojenkins.UsernameCredentials{ID: "id", Scope: "GLOBAL", Description: "déjà", Username: "me", Password: "s3cret"}
		ok(t, "add", cm.Add(ctx, "_", creds))
		if err := cm.Add(ctx, "_", creds); err == nil || err.Error() != "resource already exists, conflict status returned" {
			t.Errorf("add again: %v", err)
		}
		ok(t, "add text", cm.Add(ctx, "_", gojenkins.StringCredentials{ID: "text", Secret: "s3cret"}))
		ok(t, "add a key", cm.Add(ctx, "_", gojenkins.SSHCredentials{ID: "ssh", PrivateKeySource: &gojenkins.PrivateKey{Class: gojenkins.KeySourceDirectEntryType, Value: "s3cret"}}))
		ok(t, "add a file", cm.Add(ctx, "_", gojenkins.FileCredentials{ID: "file", SecretBytes: "s3cret"}))
		ok(t, "add a certificate", cm.Add(ctx, "_", gojenkins.DockerServerCredentials{ID: "docker", ClientKey: "s3cret"}))
		ids, err := cm.List(ctx, "_")
		ok(t, "list", err)
		if diff := cmp.Diff([]string{"id", "text", "ssh", "file", "docker"}, ids); diff != "" {
			t.Errorf("ids (-want +got):\n%s", diff)
		}
		creds.Username = "you"
		ok(t, "update", cm.Update(ctx, "_", "id", creds))
		var got gojenkins.UsernameCredentials
		ok(t, "read", cm.GetSingle(ctx, "_", "id", &got))
		if got.Username != "you" || got.Description != "déjà" || strings.TrimSpace(got.Password) != "" {
			t.Errorf("credential = %+v, want no password", got)
		}
		if err := cm.Update(ctx, "_", "none", creds); !isPage(err) {
			t.Errorf("update what is not there: %v", err)
		}
		for _, id := range ids {
			// It deletes, follows the redirect to the list, and reads that page as JSON.
			if err := cm.Delete(ctx, "_", id); !isPage(err) {
				t.Errorf("delete %s: %v, want gojenkins' own mistake", id, err)
			}
		}
		for _, left := range double.Credentials() {
			if strings.HasPrefix(left, store+"/") {
				t.Errorf("%s is left", left)
			}
		}
	}
}
