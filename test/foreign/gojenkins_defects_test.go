package foreign

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/bndr/gojenkins"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// panicOf is what a call panics with, "" when it does not.
func panicOf(call func()) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint(p)
		}
	}()
	call()
	return ""
}

// TestGojenkinsDefects holds the known defects of v1.2.0 as what they are. They are why pkg/jenkins puts a transport of its own under it
// and leaves most of its verbs alone. One that disappears here is fixed, or the double has become more lenient than Jenkins.
func TestGojenkinsDefects(t *testing.T) {
	double, j, ctx := dial(t, jenkinstest.Options{User: "u", Password: "pw", Crumbs: true})

	// Success that is reported as an error: 302, then a page of HTML, read as JSON.
	if _, err := j.CreateFolder(ctx, "f"); !isPage(err) || !slices.Contains(double.Folders(), "f") {
		t.Errorf("CreateFolder: %v, folders %q", err, double.Folders())
	}
	job, err := j.CreateJobInFolder(ctx, jobWith("input(message: 'Go on')\nsh(script: 'hang')"), "j", "f")
	ok(t, "job", err)

	// The id of a job that is queued already: 0, and no error.
	double.SetQuiet(true)
	first, err := j.BuildJob(ctx, "f/job/j", map[string]string{"WHO": "a"})
	ok(t, "trigger", err)
	if second, err := j.BuildJob(ctx, "f/job/j", map[string]string{"WHO": "b"}); first == 0 || second != 0 || err != nil || len(double.Queue()) != 1 {
		t.Errorf("queue ids %d and %d, %v, queue %+v", first, second, err, double.Queue())
	}
	// CancelTask: 204 is not 200, so it did not cancel what it has cancelled; and it panics on what is not listed.
	queue, err := j.GetQueue(ctx)
	ok(t, "queue", err)
	if done, err := queue.CancelTask(ctx, first); done || err != nil || len(double.Queue()) > 0 {
		t.Errorf("CancelTask: %t, %v, queue %+v", done, err, double.Queue())
	}
	if text := panicOf(func() { _, _ = queue.CancelTask(ctx, 99) }); !strings.Contains(text, "nil pointer") {
		t.Errorf("CancelTask of an unknown id panics with %q", text)
	}
	double.SetQuiet(false)

	id, err := j.BuildJob(ctx, "f/job/j", map[string]string{"WHO": "c"})
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
	var run *gojenkins.PipelineRun
	eventually(t, "the question", func() bool {
		run, err = job.GetPipelineRun(ctx, "1")
		return err == nil && run.Status == "PAUSED_PENDING_INPUT"
	})
	pending, err := run.GetPendingInputActions(ctx)
	ok(t, "pending inputs", err)
	if len(pending) != 1 || pending[0].ID != "InputGoon" || !strings.HasSuffix(pending[0].ProceedURL, "/wfapi/inputSubmit?inputId=InputGoon") {
		t.Errorf("pending = %+v", pending)
	}
	if done, err := run.ProceedInput(ctx); !done || err != nil {
		t.Errorf("ProceedInput: %t, %v", done, err)
	}
	eventually(t, "the step", func() bool { return strings.Contains(double.Builds("f/j")[0].Log, "[Pipeline] sh") })
	if text := panicOf(func() { _, _ = run.ProceedInput(ctx) }); !strings.Contains(text, "index out of range") {
		t.Errorf("ProceedInput of nothing panics with %q", text)
	}
	// Parents of a step are strings, not numbers.
	if _, err := run.GetNode(ctx, run.Stages[0].ID); err == nil || !strings.Contains(err.Error(), "cannot unmarshal string into Go struct field PipelineNode.StageFlowNodes.ParentNodes of type int64") {
		t.Errorf("GetNode: %v", err)
	}
	if stopped, err := build.Stop(ctx); stopped || !isPage(err) {
		t.Errorf("Stop: %t, %v", stopped, err)
	}
	eventually(t, "the end", func() bool { return !double.Builds("f/j")[0].Building })
	if b := double.Builds("f/j")[0]; b.Result != "ABORTED" || b.Params["WHO"] != "c" {
		t.Errorf("build = %+v", b)
	}
	if err := build.SetDescription(ctx, "seen"); !isPage(err) {
		t.Errorf("SetDescription: %v", err)
	}

	// 404 and 503 are the same to it: a page that is no JSON.
	if _, err := j.GetJob(ctx, "none"); !isPage(err) {
		t.Errorf("GetJob of what is not there: %v", err)
	}
	double.SetBroken(true)
	if _, err := j.GetJob(ctx, "f"); !isPage(err) {
		t.Errorf("GetJob of a Jenkins that did not start: %v", err)
	}
	double.SetBroken(false)
	if got := j.UpdateJob(ctx, "none", "<x/>"); got == nil {
		t.Error("UpdateJob drops the error")
	}
	if _, err := j.DeleteJob(ctx, "f"); !isPage(err) || len(double.Folders()) > 0 {
		t.Errorf("DeleteJob: %v, folders %q", err, double.Folders())
	}
	// The crumb: whatever goes wrong with it is a panic.
	double.Spoil(jenkinstest.Fault{Path: "/crumbIssuer/api/json/api/json", DropBefore: true, Times: -1})
	if text := panicOf(func() { _, _ = j.CreateJob(ctx, "<project/>", "x") }); !strings.Contains(text, "nil pointer") {
		t.Errorf("a crumb that is not to be had panics with %q", text)
	}
}

// TestGojenkinsAddressesByURL: with a configured root that is not where it talks to, it cannot find builds; below a context path it
// cannot find what belongs to a run.
func TestGojenkinsAddressesByURL(t *testing.T) {
	_, j, ctx := dial(t, jenkinstest.Options{RootURL: "https://public.example.org/"})
	job, err := j.CreateJob(ctx, jobWith("echo('x')"), "j")
	ok(t, "job", err)
	if _, err := job.GetBuild(ctx, 1); err == nil || !strings.Contains(err.Error(), "invalid port") {
		t.Errorf("GetBuild: %v", err)
	}
	double, j, ctx := dial(t, jenkinstest.Options{ContextPath: "/ci"})
	job, err = j.CreateJob(ctx, jobWith("echo('x')"), "j")
	ok(t, "job", err)
	_, err = j.BuildJob(ctx, "j", map[string]string{"delay": "0sec"})
	ok(t, "trigger", err)
	eventually(t, "the end", func() bool { b := double.Builds("j"); return len(b) == 1 && !b[0].Building })
	run, err := job.GetPipelineRun(ctx, "1")
	ok(t, "run", err)
	if _, err := run.GetPendingInputActions(ctx); run.Base != "/ci/job/j/1" || !isPage(err) {
		t.Errorf("base %s, %v", run.Base, err)
	}
	if build, err := job.GetBuild(ctx, 1); err != nil || build.GetResult() != "SUCCESS" { // //job/j//1: Jenkins does not mind slashes
		t.Errorf("build = %+v, %v", build, err)
	}
}
