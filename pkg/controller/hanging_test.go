package controller_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/controller"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/scm"
)

// hangs is a Git host that never answers, beside others that do.
type hangs struct{ *reader }

func (h hangs) Resolve(ctx context.Context, repo scm.Repository, ref string) (string, error) {
	if strings.Contains(repo.URL, "hangs.example") {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return h.reader.Resolve(ctx, repo, ref)
}

// TestAGitHostThatHangs delays the runs that read from it; those that need no Git host go
// on, whether they came before or after.
func TestAGitHostThatHangs(t *testing.T) {
	w := newWorld(t, jenkinstest.Options{}, quota(0))
	w.start(func(o *controller.Options) { o.Reader, o.Workers = hangs{w.reader}, 8 })
	w.repository("app", func(r *v1alpha1.SourceCodeRepository) { r.Spec.URL = "https://hangs.example/app.git" })
	w.pipeline("slow", "", fromRepository)
	w.pipeline("app", oneStep)
	w.run("app", "before")
	for i := range 20 {
		w.run("slow", fmt.Sprintf("slow-%d", i))
	}
	w.awaitFinished("before")
	w.run("app", "after")
	w.awaitFinished("after")
}
