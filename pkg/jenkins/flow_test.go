package jenkins_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestOneExecutionFromCreationToDeletion(t *testing.T) {
	ctx := context.Background()
	for name, opts := range map[string]jenkinstest.Options{
		"without security":                  {},
		"with an API token":                 {User: "robot", Token: "t0ken", Crumbs: true},
		"with a password and crumbs":        {User: "robot", Password: "t0ken", Token: "other", Crumbs: true},
		"below a context path":              {ContextPath: "/ci/jenkins"},
		"with an old log":                   {Version: "2.401.3"},
		"with graph view only":              {NoStageREST: true},
		"without any plugin telling stages": {NoStageREST: true, NoGraphView: true},
	} {
		t.Run(name, func(t *testing.T) {
			opts.Agents = jenkinstest.ScriptedAgents(func(_ context.Context, c jenkinstest.Command) jenkinstest.Result {
				return jenkinstest.Result{Output: "made <" + c.Label + ">\n"}
			})
			p := newPair(t, opts, func(c *jenkins.Config) {
				if opts.Password != "" {
					c.Token = opts.Password
				}
			})
			info := must[jenkins.Info](t)(p.Ping(ctx))
			if info.Session != p.double.Session() || info.UseCrumbs != opts.Crumbs {
				t.Errorf("info = %+v", info)
			}
			if created := must[bool](t)(p.EnsureJob(ctx, job(pipelineOf(oneStep)))); !created {
				t.Error("the job was not created")
			}
			if created := must[bool](t)(p.EnsureJob(ctx, job(pipelineOf(oneStep)))); created {
				t.Error("the job was created twice")
			}
			q := must[jenkins.Queued](t)(p.Start(ctx, ref, jenkins.Params{UID: "uid-1", Attempt: 3}))
			if q.QueueID == 0 || q.Session != info.Session || q.Coalesced {
				t.Errorf("queued = %+v", q)
			}
			b := p.finished(t)
			want := jenkins.Build{Number: 1, QueueID: q.QueueID, Result: jenkins.Success, UID: "uid-1", Attempt: 3}
			if diff := cmp.Diff(want, b, cmpopts.IgnoreFields(jenkins.Build{}, "Start", "Duration", "URL")); diff != "" {
				t.Errorf("build (-want +got):\n%s", diff)
			}
			stages, err := p.Stages(ctx, ref, 1)
			if opts.NoStageREST && opts.NoGraphView {
				if !isErr(err, jenkins.ErrNoStages) {
					t.Errorf("stages: %v, want ErrNoStages", err)
				}
			} else {
				wantStages := []jenkins.Stage{{Name: "1 Build", Status: jenkins.StageSuccess}, {Name: "1.1 make", Status: jenkins.StageSuccess}}
				if diff := cmp.Diff(wantStages, must[[]jenkins.Stage](t)(stages, err), cmpopts.IgnoreFields(jenkins.Stage{}, "ID", "Start", "Duration")); diff != "" {
					t.Errorf("stages (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(p.log(t), readAll(t, p)); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			ok(t, p.DeleteJob(ctx, ref, "uid-1"))
			ok(t, p.DeleteJob(ctx, ref, "uid-1"))
			ok(t, p.DeleteFolder(ctx, ref.Folder))
			if left := append(p.double.Jobs(), p.double.Folders()...); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
