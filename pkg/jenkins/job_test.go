package jenkins_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

var update = flag.Bool("update", false, "write golden files")

func TestConfigXML(t *testing.T) {
	p := newPair(t, jenkinstest.Options{})
	must[bool](t)(p.EnsureJob(context.Background(), jenkins.Job{
		Ref: ref, UID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Description: "PipelineExecution shop/app-42 <of> \"main\" & é\u0085",
		Script: "// a\nsh(script: 'a && b < c ]]> \\'\"')\n\tx\r\n",
	}))
	got := p.double.Config(ref.String())
	const golden = "testdata/config.xml"
	if *update {
		ok(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	ok(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("config.xml (-want +got):\n%s", diff)
	}
}

func TestScriptReachesJenkinsUnchanged(t *testing.T) {
	p := newPair(t, jenkinstest.Options{})
	script := "echo('<a b=\"c\">&amp; ]]> $x \\\\ 世界 🚀 \t')\n"
	p.start(t, script)
	p.finished(t)
	if want := "<a b=\"c\">&amp; ]]> $x \\ 世界 🚀 \t\n"; !strings.Contains(p.log(t), want) {
		t.Errorf("the log lacks %q:\n%s", want, p.log(t))
	}
}

func TestWhatXMLCannotCarryIsRefused(t *testing.T) {
	p := newPair(t, jenkinstest.Options{})
	for name, j := range map[string]jenkins.Job{
		"NUL in the script":         {Ref: ref, UID: "u", Script: "a\x00"},
		"a control character":       {Ref: ref, UID: "u", Script: "a\x1b[0m"},
		"U+FFFF":                    {Ref: ref, UID: "u", Script: "\uffff"},
		"not UTF-8":                 {Ref: ref, UID: "u", Script: "\xff"},
		"a control in description":  {Ref: ref, UID: "u", Description: "\x01"},
		"no uid":                    {Ref: ref, Script: "x"},
		"a uid that breaks markers": {Ref: ref, UID: "a; hash=b"},
		"a script without end":      {Ref: ref, UID: "u", Script: strings.Repeat("x", 17<<20)},
	} {
		if _, err := p.EnsureJob(context.Background(), j); !errors.Is(err, jenkins.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if got := p.double.Requests(); len(got) > 0 {
		t.Errorf("requests = %v, want none", got)
	}
}

func TestEnsureJob(t *testing.T) {
	ctx := context.Background()
	t.Run("updates its own job when the script differs", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		must[bool](t)(p.EnsureJob(ctx, job("echo('a')\n")))
		if must[bool](t)(p.EnsureJob(ctx, job("echo('b')\n"))) {
			t.Error("created again")
		}
		if !strings.Contains(p.double.Config(ref.String()), "echo(&#39;b&#39;)") {
			t.Error("the job has the old script")
		}
		p.double.Requests()
		must[bool](t)(p.EnsureJob(ctx, job("echo('b')\n")))
		want := []string{"POST /job/shop/createItem?name=app-1a2b3c", "GET /job/shop/job/app-1a2b3c/config.xml"}
		if diff := cmp.Diff(want, p.double.Requests()); diff != "" {
			t.Errorf("requests when nothing changed (-want +got):\n%s", diff)
		}
	})
	t.Run("does not touch the job of a running build", func(t *testing.T) {
		agents, release := hold()
		defer release()
		p := newPair(t, jenkinstest.Options{Agents: agents})
		p.start(t, pipelineOf(oneStep))
		before := p.double.Config(ref.String())
		must[bool](t)(p.EnsureJob(ctx, job("echo('b')\n")))
		if p.double.Config(ref.String()) != before {
			t.Error("the config was replaced")
		}
	})
	t.Run("never takes over what is not ours", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		must[bool](t)(p.EnsureJob(ctx, job("echo('a')\n")))
		other := job("echo('b')\n")
		other.UID = "uid-2"
		other.Ref.Name = strings.ToUpper(ref.Name) // Jenkins does not see the difference
		if _, err := p.EnsureJob(ctx, other); !errors.Is(err, jenkins.ErrNameConflict) || !strings.Contains(err.Error(), "uid-1") {
			t.Errorf("another execution's job: %v", err)
		}
		browser := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
		byHand, err := browser.Post(p.url+"/job/shop/createItem?name=hand", "application/xml", strings.NewReader("<project><description>mine</description></project>"))
		ok(t, err)
		ok(t, byHand.Body.Close())
		other.Ref.Name = "hand"
		if _, err := p.EnsureJob(ctx, other); !errors.Is(err, jenkins.ErrNameConflict) {
			t.Errorf("a job made by hand: %v", err)
		}
		other.Ref = jenkins.JobRef{Name: "shop"}
		if _, err := p.EnsureJob(ctx, other); !errors.Is(err, jenkins.ErrNameConflict) {
			t.Errorf("a folder: %v", err)
		}
		if err := p.EnsureFolder(ctx, "shop/hand"); !errors.Is(err, jenkins.ErrNameConflict) {
			t.Errorf("a folder over a job: %v", err)
		}
	})
	t.Run("makes nested folders", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		deep := job("echo('a')\n")
		deep.Ref = jenkins.JobRef{Folder: "a/b b/c", Name: "x y"}
		if !must[bool](t)(p.EnsureJob(ctx, deep)) {
			t.Error("not created")
		}
		if diff := cmp.Diff([]string{"a", "a/b b", "a/b b/c"}, p.double.Folders()); diff != "" {
			t.Errorf("folders (-want +got):\n%s", diff)
		}
		must[jenkins.Queued](t)(p.Start(ctx, deep.Ref, jenkins.Params{UID: "uid-1"}))
		snap := must[jenkins.Snapshot](t)(p.Snapshot(ctx, deep.Ref.Folder))
		if _, there := snap.Jobs[deep.Ref]; !there {
			t.Errorf("jobs = %v", snap.Jobs)
		}
		ok(t, p.DeleteFolder(ctx, "a"))
	})
	t.Run("reports a name Jenkins refuses", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		bad := job("echo('a')\n")
		bad.Ref.Name = "a*b"
		_, err := p.EnsureJob(ctx, bad)
		if !jenkins.IsConflict(err) || !strings.Contains(err.Error(), "unsafe character") {
			t.Errorf("error = %v", err)
		}
	})
	t.Run("many at once make one job", func(t *testing.T) {
		p := newPair(t, jenkinstest.Options{})
		var wg sync.WaitGroup
		created := make(chan bool, 16)
		for range cap(created) {
			wg.Go(func() {
				c, err := p.EnsureJob(ctx, job("echo('a')\n"))
				if err != nil {
					t.Error(err)
				}
				created <- c
			})
		}
		wg.Wait()
		close(created)
		n := 0
		for c := range created {
			if c {
				n++
			}
		}
		if n != 1 {
			t.Errorf("created %d times", n)
		}
	})
}
