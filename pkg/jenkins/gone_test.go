package jenkins_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

const itemRead = "hudson.model.Item.Read"

// TestHiddenIsNotGone: what an account may not see, Jenkins calls not found. No verb takes that for gone.
func TestHiddenIsNotGone(t *testing.T) {
	ctx := context.Background()
	p := newPair(t, jenkinstest.Options{})
	must[bool](t)(p.EnsureJob(ctx, job("echo('a')\n")))
	before := p.double.Config(ref.String())
	p.double.Deny(itemRead)
	if ev := must[jenkins.Evidence](t)(p.Find(ctx, ref, "uid-1")); ev.Exists {
		t.Fatalf("evidence = %+v, the double shows what it should hide", ev)
	}
	for what, f := range map[string]func() error{
		"Gone":         func() error { return p.Gone(ctx, ref, "uid-1") },
		"DeleteJob":    func() error { return p.DeleteJob(ctx, ref, "uid-1") },
		"EnsureJob":    func() error { _, err := p.EnsureJob(ctx, job("echo('b')\n")); return err },
		"EnsureFolder": func() error { return p.EnsureFolder(ctx, ref.Folder) },
	} {
		if err := f(); !errors.Is(err, jenkins.ErrHidden) {
			t.Errorf("%s: %v, want ErrHidden", what, err)
		}
	}
	p.double.Allow(itemRead)
	if p.double.Config(ref.String()) != before {
		t.Error("the hidden job was changed")
	}
	ok(t, p.DeleteJob(ctx, ref, "uid-1"))
}

// TestOneHiddenJob: the folder is shown, the job in it is not, as with permissions by name. Jenkins does not say that it exists, yet
// does not make it either.
func TestOneHiddenJob(t *testing.T) {
	c := rawPair(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Jenkins-Session", "s")
		w.Header().Set("Content-Type", "text/html;charset=utf-8")
		if strings.HasSuffix(r.URL.Path, "/job/shop/createItem") {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	for what, f := range map[string]func() error{
		"Gone":      func() error { return c.Gone(context.Background(), ref, "uid-1") },
		"DeleteJob": func() error { return c.DeleteJob(context.Background(), ref, "uid-1") },
		"EnsureJob": func() error { _, err := c.EnsureJob(context.Background(), job("echo('a')\n")); return err },
	} {
		if err := f(); !errors.Is(err, jenkins.ErrHidden) {
			t.Errorf("%s: %v, want ErrHidden", what, err)
		}
	}
}

func TestGone(t *testing.T) {
	ctx := context.Background()
	t.Run("a job that is not there is gone, and made anew in our name", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		must[bool](t)(p.EnsureJob(ctx, job("echo('a')\n")))
		ok(t, p.DeleteJob(ctx, ref, "uid-1"))
		ok(t, p.Gone(ctx, ref, "uid-1"))
		must[bool](t)(p.EnsureJob(ctx, job("echo('b')\n")))
		if c := p.double.Config(ref.String()); !strings.Contains(c, "echo(&#39;b&#39;)") {
			t.Errorf("config = %s, want the script", c)
		}
	})
	t.Run("so is one whose folder is not there", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		deep := jenkins.JobRef{Folder: "a/b", Name: "c"}
		ok(t, p.Gone(ctx, deep, "uid-1"))
		ok(t, p.DeleteJob(ctx, jenkins.JobRef{Folder: "x/y", Name: "z"}, "uid-1"))
	})
	t.Run("without the permission to make jobs it cannot be told", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		p.double.Deny("hudson.model.Item.Create")
		if err := p.Gone(ctx, ref, "uid-1"); !jenkins.IsForbidden(err) || !strings.Contains(err.Error(), "hudson.model.Item.Create") {
			t.Errorf("Gone: %v, want the permission that is missing", err)
		}
		if err := p.DeleteJob(ctx, ref, "uid-1"); !jenkins.IsForbidden(err) {
			t.Errorf("DeleteJob: %v, want it forbidden", err)
		}
	})
	t.Run("the job of somebody else is left alone", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		must[bool](t)(p.EnsureJob(ctx, job("echo('a')\n")))
		ok(t, p.DeleteJob(ctx, ref, "uid-2"))
		if diff := cmp.Diff([]string{ref.String()}, p.double.Jobs()); diff != "" {
			t.Errorf("jobs left (-want +got):\n%s", diff)
		}
	})
	t.Run("the deletion of what is gone leaves nothing", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		ok(t, p.EnsureFolder(ctx, ref.Folder))
		ok(t, p.DeleteJob(ctx, ref, "uid-1"))
		if diff := cmp.Diff(0, len(p.double.Jobs())); diff != "" {
			t.Errorf("jobs left (-want +got):\n%s", diff)
		}
	})
}
