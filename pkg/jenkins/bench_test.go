package jenkins_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func benchPair(b *testing.B, agents jenkinstest.Agents) (*jenkins.Client, *jenkinstest.Server) {
	b.Helper()
	double := jenkinstest.New(jenkinstest.Options{Agents: agents})
	srv := httptest.NewServer(double)
	c, err := jenkins.New(jenkins.Config{BaseURL: srv.URL})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); srv.Close(); double.Close() })
	return c, double
}

// A snapshot of a folder with many jobs, each with one build that runs: what the poller does at every tick.
func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			agents, release := hold()
			c, double := benchPair(b, agents)
			ctx := context.Background()
			for i := range n {
				j := jenkins.Job{Ref: jenkins.JobRef{Folder: "f", Name: fmt.Sprint("j", i)}, UID: fmt.Sprint("uid-", i), Script: pipelineOf(oneStep)}
				if _, err := c.EnsureJob(ctx, j); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Start(ctx, j.Ref, jenkins.Params{UID: j.UID}); err != nil {
					b.Fatal(err)
				}
			}
			double.Requests()
			b.ResetTimer()
			for b.Loop() {
				snap, err := c.Snapshot(ctx, "f")
				if err != nil || len(snap.Jobs) != n {
					b.Fatal(len(snap.Jobs), err)
				}
			}
			b.ReportMetric(float64(len(double.Requests()))/float64(b.N), "requests/op")
			release()
		})
	}
}

// A whole execution without agents: create, start, wait, delete, eight at once.
func BenchmarkExecution(b *testing.B) {
	c, double := benchPair(b, nil)
	ctx := context.Background()
	var wg sync.WaitGroup
	work := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range work {
				ref := jenkins.JobRef{Folder: "f", Name: fmt.Sprint("j", i)}
				if _, err := c.EnsureJob(ctx, jenkins.Job{Ref: ref, UID: "u", Script: pipelineOf(oneStep)}); err != nil {
					b.Error(err)
				}
				if _, err := c.Start(ctx, ref, jenkins.Params{UID: "u"}); err != nil {
					b.Error(err)
				}
				for {
					got, err := c.Build(ctx, ref, 1)
					if err == nil && !got.Building {
						break
					}
				}
				if err := c.DeleteJob(ctx, ref, "u"); err != nil {
					b.Error(err)
				}
			}
		})
	}
	i := 0
	for b.Loop() {
		work <- i
		i++
	}
	close(work)
	wg.Wait()
	if left := double.Jobs(); len(left) > 0 {
		b.Errorf("left: %d jobs", len(left))
	}
}

func BenchmarkLog(b *testing.B) {
	line := strings.Repeat("a line of <b>log</b> & more 世界 ", 4) + "\n"
	const lines = 50_000
	c, double := benchPair(b, jenkinstest.ScriptedAgents(func(context.Context, jenkinstest.Command) jenkinstest.Result {
		return jenkinstest.Result{Output: strings.Repeat(line, lines)}
	}))
	ctx := context.Background()
	if _, err := c.EnsureJob(ctx, job(pipelineOf("sh(script: 'x')"))); err != nil {
		b.Fatal(err)
	}
	if _, err := c.Start(ctx, ref, jenkins.Params{UID: "uid-1"}); err != nil {
		b.Fatal(err)
	}
	for len(double.Builds()) == 0 || double.Builds()[0].Building {
	}
	b.SetBytes(int64(len(line) * lines))
	for b.Loop() {
		if read, err := c.Log(ctx, ref, 1, jenkins.LogPosition{}, io.Discard); err != nil || read.More {
			b.Fatal(read, err)
		}
	}
}
