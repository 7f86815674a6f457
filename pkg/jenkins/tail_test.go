package jenkins_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

func TestLogTail(t *testing.T) {
	ctx := context.Background()
	for name, opts := range map[string]jenkinstest.Options{"as new versions have it": {}, "as old ones do": {Version: "2.452.1"}} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, opts)
			p.start(t, "this does not compile (")
			p.finished(t)
			short, err := p.LogTail(ctx, ref, 1, 64<<10)
			ok(t, err)
			if !strings.Contains(short, "MultipleCompilationErrorsException") || !strings.Contains(short, "Finished: FAILURE") {
				t.Errorf("tail = %q, want the cause and the end", short)
			}
			agents, release := hold()
			opts.Agents = agents
			p = newPair(t, opts)
			p.start(t, pipelineOf(oneStep))
			eventually(t, "the build", func() bool { return len(p.double.Builds(ref.String())) == 1 })
			var noise strings.Builder
			for i := range 20_000 {
				fmt.Fprintf(&noise, "line %d\x1b[31m of noise\x1b[0m\a\n", i)
			}
			p.double.AppendLog(ref.String(), 1, noise.String())
			release()
			p.finished(t)
			long, err := p.LogTail(ctx, ref, 1, 4<<10)
			ok(t, err)
			if !strings.Contains(long, "\nline 19999 of noise\n") || len(long) > 8<<10 || !strings.HasPrefix(long, "line ") || !strings.HasSuffix(long, "Finished: SUCCESS\n") {
				t.Errorf("tail of %d bytes = %q…", len(long), long[:min(len(long), 60)])
			}
			if strings.ContainsFunc(long, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
				t.Error("control characters are left")
			}
		})
	}
	p := newPair(t, jenkinstest.Options{})
	if _, err := p.LogTail(ctx, ref, 1, 100); !jenkins.IsNotFound(err) {
		t.Errorf("log of no build: %v", err)
	}
}
