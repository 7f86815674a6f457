package cli

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestCancel(t *testing.T) {
	w := populated(t)
	got := w.run("stop", "app#12", "app#11")
	if got.code != 0 || got.out != "pipelineexecution.kubectl-pipeline.io/app-x7k2pq asked to stop\n" || !strings.Contains(got.err, "run app#11 is over already: Failed") {
		t.Errorf("%+v", got)
	}
	if c := w.api.execution("app-x7k2pq").Spec.Control; c != v1alpha1.ControlStop {
		t.Errorf("control %q", c)
	}
	if c := w.api.execution("app-bbbbbb").Spec.Control; c == v1alpha1.ControlStop {
		t.Error("a finished run was changed")
	}
	if got := w.run("cancel", "app#99", "app#12"); got.code != exitError || !strings.Contains(got.out, "app-x7k2pq") {
		t.Errorf("one that fails must not hold back the others: %+v", got)
	}
}

func TestExitCodes(t *testing.T) {
	for phase, want := range map[v1alpha1.Phase]int{v1alpha1.PhaseSucceeded: 0, v1alpha1.PhaseFailed: exitFailed, v1alpha1.PhaseAborted: exitAborted} {
		for _, args := range []string{
			"run app -w", "run app --wait", "run app --logs", "run app -w -o json", "run app --wait -o name", "rerun app#11 -w",
			"watch app#12", "wait app#12", "wait app#12 app#12", "logs app#12 -f",
		} {
			t.Run(fmt.Sprint(phase, " ", args), func(t *testing.T) {
				w := populated(t)
				w.api.fault = logFault(w, "hello\n")
				end := func(c *watchConn) {
					name := strings.TrimPrefix(c.r.URL.Query().Get("fieldSelector"), "metadata.name=")
					pe := w.api.execution(name)
					pe.Status.Phase, pe.Status.Engine = phase, &v1alpha1.EngineStatus{Build: 1}
					w.api.put(executionsResource, pe)
					c.serve(nil)
				}
				w.api.watches = []func(*watchConn){end, end}
				got := w.run(strings.Fields(args)...)
				if got.code != want {
					t.Errorf("exit code %d, want %d\n%s%s", got.code, want, got.out, got.err)
				}
				if (want == 0) == strings.Contains(got.err, "error: ") {
					t.Errorf("standard error: %s", got.err)
				}
				if strings.Contains(args, "-o json") && (!strings.HasPrefix(got.out, "{") || strings.Count(got.out, `"kind"`) != 1) {
					t.Errorf("standard output is not one document:\n%s", got.out)
				}
				if strings.Contains(args, "log") && !strings.Contains(got.out, "hello\n") {
					t.Errorf("no log:\n%s", got.out)
				}
				again := populated(t)
				again.api.fault = logFault(again, "hello\n")
				again.api.watches = []func(*watchConn){end, end}
				w = again
				if got := w.run(append(strings.Fields(args), "--exit-zero")...); got.code != 0 {
					t.Errorf("--exit-zero: exit code %d\n%s", got.code, got.err)
				}
			})
		}
	}
}

func TestTimeout(t *testing.T) {
	w := populated(t)
	got := w.run("watch", "app#12", "--timeout", "20ms")
	if got.code != exitTimeout || !strings.Contains(got.err, "is still Running after 20ms") || !strings.Contains(got.err, "hint: kubectl pipeline watch app-x7k2pq") {
		t.Errorf("%+v", got)
	}
}

func TestInterrupts(t *testing.T) {
	interruptIn := func(w *world, s syscall.Signal) func(*watchConn) {
		return func(c *watchConn) {
			w.signals <- s
			c.serve(nil)
		}
	}
	t.Run("Ctrl-C leaves the run going", func(t *testing.T) {
		w := populated(t)
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGINT)}
		got := w.run("watch", "app#12")
		if got.code != exitDetached || !strings.Contains(got.err, "left app#12 running") || !strings.Contains(got.err, "kubectl pipeline watch app-x7k2pq") {
			t.Errorf("%+v", got)
		}
		if c := w.api.execution("app-x7k2pq").Spec.Control; c == v1alpha1.ControlStop {
			t.Error("the run was stopped")
		}
	})
	t.Run("SIGTERM does too", func(t *testing.T) {
		w := populated(t)
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGTERM)}
		if got := w.run("run", "app", "--wait"); got.code != exitDetached {
			t.Errorf("%+v", got)
		}
	})
	t.Run("--on-interrupt=cancel stops it and waits for the end", func(t *testing.T) {
		w := populated(t)
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGINT), func(c *watchConn) {
			pe := w.api.execution("app-x7k2pq")
			if pe.Spec.Control == v1alpha1.ControlStop {
				pe.Status.Phase = v1alpha1.PhaseAborted
				w.api.put(executionsResource, pe)
			}
			c.serve(nil)
		}}
		if got := w.run("watch", "app#12", "--on-interrupt=cancel"); got.code != exitAborted {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a second one ends at once, and gives the terminal back", func(t *testing.T) {
		w := populated(t)
		w.screen = screen{tty: true, width: 80, height: 24}
		w.api.watches = []func(*watchConn){interruptIn(w, syscall.SIGINT), func(c *watchConn) {
			w.signals <- syscall.SIGINT
			c.serve(nil)
		}}
		got := w.run("watch", "app#12", "--on-interrupt=cancel") // it would wait for the run to stop
		if got.code != exitDetached || !strings.HasSuffix(got.out, showCursor) {
			t.Errorf("%d %q %s", got.code, got.out, got.err)
		}
	})
	t.Run("without a run it is a plain interrupt", func(t *testing.T) {
		w := populated(t)
		w.api.fault = func(_ http.ResponseWriter, r *http.Request) bool {
			w.signals <- syscall.SIGINT
			<-r.Context().Done()
			return true
		}
		if got := w.run("list"); got.code != exitInterrupted || got.err != "" {
			t.Errorf("%+v", got)
		}
	})
}

func TestLiveTree(t *testing.T) {
	end := func(c *watchConn) {
		pe := failedRun()
		c.f.put(executionsResource, pe)
		c.serve(nil)
	}
	for name, c := range map[string]struct {
		screen screen
		env    map[string]string
		live   bool
	}{
		"terminal":      {screen{true, 100, 30}, nil, true},
		"pipe":          {screen{}, nil, false},
		"dumb terminal": {screen{true, 100, 30}, map[string]string{"TERM": "dumb"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := populated(t)
			w.screen = c.screen
			maps.Copy(w.env, c.env)
			w.api.watches = []func(*watchConn){end}
			got := w.run("watch", "app#12")
			if got.code != exitFailed {
				t.Fatalf("%+v", got)
			}
			if c.live {
				if !strings.HasPrefix(got.out, hideCursor) || !strings.HasSuffix(got.out, showCursor) || !strings.Contains(got.out, "\x1b[8A") {
					t.Errorf("%q", got.out)
				}
				return
			}
			if strings.Contains(got.out+got.err, "\x1b") || !strings.Contains(got.out, "12:00:00 app#12 Build/vet Running -> Failed (1m5s): exit 1") {
				t.Errorf("%q", got.out)
			}
		})
	}
}
