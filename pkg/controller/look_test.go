package controller

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

func TestLookOf(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	ref := jenkins.JobRef{Folder: "shop", Name: "app-1"}
	jobs := map[jenkins.JobRef]jenkins.JobState{ref: {
		NextBuild: 4,
		Builds: []jenkins.Build{
			{Number: 3, QueueID: 9, Building: true, UID: "ours"},
			{Number: 2, QueueID: 8, Result: "SPLENDID", UID: "ours"},
			{Number: 1, QueueID: 7, Result: jenkins.Success, UID: "theirs"},
		},
		Queued: []jenkins.QueueItem{{ID: 10, Why: "waits", UID: "ours", Attempt: 2}, {ID: 11, UID: ""}},
		Agents: []jenkins.QueueItem{{ID: 12, Why: "no nodes"}},
	}}
	want := pipeline.Look{
		At: at, Session: "s", Exists: true, NextBuild: 4, Waiting: "no nodes",
		Items: []pipeline.EngineItem{{ID: 10, Why: "waits", Attempt: 2}},
		Builds: []pipeline.EngineBuild{
			{Number: 3, QueueID: 9, Building: true, Result: v1alpha1.PhaseFailed},
			{Number: 2, QueueID: 8, Result: v1alpha1.PhaseFailed, Raw: "SPLENDID"},
		},
	}
	if diff := cmp.Diff(want, lookOf("ours", at, "s", jobs, ref)); diff != "" {
		t.Errorf("look (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(pipeline.Look{At: at, Session: "s"}, lookOf("ours", at, "s", jobs, jenkins.JobRef{Folder: "shop", Name: "other"})); diff != "" {
		t.Errorf("look at a job that is not there (-want +got):\n%s", diff)
	}
}

func TestSameLook(t *testing.T) {
	look := func(change func(*pipeline.Look)) pipeline.Look {
		l := pipeline.Look{Exists: true, NextBuild: 1, Items: []pipeline.EngineItem{{ID: 1, Why: "Expires in 4.9 sec"}}, Waiting: "waits 3 min"}
		change(&l)
		return l
	}
	same := look(func(*pipeline.Look) {})
	for name, tc := range map[string]struct {
		change func(*pipeline.Look)
		want   bool
	}{
		"the time of the look is no change": {func(l *pipeline.Look) { l.At = time.Now() }, true},
		"seconds that pass are none":        {func(l *pipeline.Look) { l.Items[0].Why, l.Waiting = "Expires in 2.1 sec", "waits 4 min" }, true},
		"another reason is one":             {func(l *pipeline.Look) { l.Items[0].Why = "quieting down" }, false},
		"an item that left is one":          {func(l *pipeline.Look) { l.Items = nil }, false},
		"a build is one":                    {func(l *pipeline.Look) { l.Builds = []pipeline.EngineBuild{{Number: 1}} }, false},
		"a restart is one":                  {func(l *pipeline.Look) { l.Session = "other" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sameLook(same, look(tc.change)); got != tc.want {
				t.Errorf("same = %t, want %t", got, tc.want)
			}
		})
	}
}

func TestEngineFailure(t *testing.T) {
	for name, tc := range map[string]struct {
		err      error
		reason   string
		terminal bool
	}{
		"a name that is taken stays taken":   {fmt.Errorf("create job: %w", jenkins.ErrNameConflict), v1alpha1.ReasonNameConflict, true},
		"what Jenkins cannot store is final": {fmt.Errorf("create job: %w", jenkins.ErrInvalid), v1alpha1.ReasonEngineError, true},
		"wrong credentials":                  {&jenkins.Error{Status: 401}, v1alpha1.ReasonEngineUnauthorized, false},
		"a permission that is lacking":       {&jenkins.Error{Status: 403, Permission: "hudson.model.Item.Build", Authenticated: "me"}, v1alpha1.ReasonEngineUnauthorized, false},
		"a start page":                       {&jenkins.Error{Status: 503}, v1alpha1.ReasonEngineUnavailable, false},
		"no answer":                          {&jenkins.Error{Err: context.DeadlineExceeded}, v1alpha1.ReasonEngineUnavailable, false},
		"no connection":                      {&jenkins.Error{Err: errors.New("connection refused")}, v1alpha1.ReasonEngineUnavailable, false},
		"anything else may pass":             {errors.New("odd"), v1alpha1.ReasonEngineUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := engineFailure(tc.err)
			if f.Reason != tc.reason || f.Terminal != tc.terminal || f.Message == "" {
				t.Errorf("failure = %+v, want %s, terminal %t", f, tc.reason, tc.terminal)
			}
		})
	}
}
