package controller

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// TestQuestionsAreRead: what an input step asks, where Jenkins can tell.
func TestQuestionsAreRead(t *testing.T) {
	for name, tc := range map[string]struct {
		opts jenkinstest.Options
		want string
	}{
		"with pipeline-rest-api":            {jenkinstest.Options{}, "Deploy to prod?"},
		"with pipeline-graph-view, no more": {jenkinstest.Options{NoStageREST: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			double := jenkinstest.New(tc.opts)
			t.Cleanup(double.Close)
			srv := httptest.NewServer(double)
			t.Cleanup(srv.Close)
			client, err := jenkins.New(jenkins.Config{BaseURL: srv.URL})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			o := Options{}
			o.setDefaults()
			e := newEngine(o, client, srv.URL, func(types.NamespacedName) {}, func() {})
			ref := jenkins.JobRef{Folder: "shop", Name: "a"}
			script := "stage('1 Ask') {\n  stage('1.1 approve') {\n    input(message: 'Deploy to prod?', id: 'go')\n  }\n}\n"
			if _, err := client.EnsureJob(ctx, jenkins.Job{Ref: ref, UID: "u", Script: script}); err != nil {
				t.Fatal(err)
			}
			if _, err := client.Start(ctx, ref, jenkins.Params{UID: "u"}); err != nil {
				t.Fatal(err)
			}
			e.watch("u", types.NamespacedName{Namespace: "shop", Name: "a"}, ref)
			deadline := time.Now().Add(20 * time.Second)
			for {
				e.tick(ctx)
				look := e.view("u").Look
				if n := len(look.Stages); n > 0 && look.Stages[n-1].Phase == "Paused" && !look.PausedAt.IsZero() {
					if look.Question != tc.want || look.Paused {
						t.Errorf("question %q, paused %t, want %q", look.Question, look.Paused, tc.want)
					}
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("look = %+v", look)
				}
			}
		})
	}
}
