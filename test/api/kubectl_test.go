package api

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/manifests"
	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// kubectl runs this machine's kubectl against the server.
func (s *server) kubectl(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	path := need.Program(t, "kubectl", "https://kubernetes.io/docs/tasks/tools")
	cmd := exec.CommandContext(t.Context(), path, append([]string{"--kubeconfig", s.Kubeconfig(), "--cache-dir", t.TempDir()}, args...)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	// kubectl remarks on every server that is two versions newer.
	return out.String(), strings.Join(slices.DeleteFunc(strings.Split(strings.TrimSpace(log.String()), "\n"), func(l string) bool {
		return l == "" || strings.HasPrefix(l, "WARNING: version difference")
	}), "\n"), err
}

func TestInstallationHasNoWarnings(t *testing.T) {
	if s := start(t); len(s.warnings) > 0 {
		t.Errorf("the API server warns of\n%s", strings.Join(s.warnings, "\n"))
	}
}

// TestKustomizeMakesWhatThePluginInstalls compares the two ways to install.
func TestKustomizeMakesWhatThePluginInstalls(t *testing.T) {
	s := start(t)
	out, _, err := s.kubectl(t, "kustomize", root+"/manifests")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := manifests.Objects(manifests.Options{})
	if err != nil {
		t.Fatal(err)
	}
	index := func(docs [][]byte) map[string]any {
		all := map[string]any{}
		for _, doc := range docs {
			obj, err := parse(doc)
			if err != nil {
				t.Fatal(err)
			}
			all[fmt.Sprintf("%s %s/%s", obj.GetKind(), obj.GetNamespace(), obj.GetName())] = obj.Object
		}
		return all
	}
	want, got := index(docs), index(bytes.Split([]byte(out), []byte("\n---\n")))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("objects (-plugin +kustomize):\n%s", diff)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-plugin +kustomize):\n%s", diff)
	}
}

func TestKubectlApply(t *testing.T) {
	s := start(t)
	docs, err := manifests.Objects(manifests.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"as a dry run":  {"--server-side", "--force-conflicts", "--dry-run=server"},
		"on the server": {"--server-side", "--force-conflicts"},
	} {
		t.Run(name, func(t *testing.T) {
			out, log, err := s.kubectl(t, append([]string{"apply", "-k", root + "/manifests"}, args...)...)
			if err != nil || log != "" {
				t.Fatalf("error: %v\n%s", err, log)
			}
			if n := strings.Count(out, "serverside-applied"); n != len(docs) {
				t.Errorf("applied %d objects, want %d:\n%s", n, len(docs), out)
			}
		})
	}
}

func TestKubectlExplain(t *testing.T) {
	s := start(t)
	for field, want := range map[string]string{
		"pipelineexecution":                     "PipelineExecution is one run of a pipeline.",
		"pe.spec.control":                       "control is what people want of the run: Run, Pause or Stop. Stop is final.",
		"pipeline.spec.timeout":                 "Default: the config file's timeout, else 60m.",
		"pl.spec.cache.hostPath.sizeLimit":      "in bytes (a quantity such as",
		"ps.spec.executor.quota":                "0 means no limit.",
		"scr.spec.webhook.secretRef.key":        "key inside the Secret.",
		"sourcecodecredential.spec.secretRef":   "keys token; or username",
		"sourcecodeprovider.spec.caBundle":      "trusted in addition to the system's",
		"pipelineexecution.status.stages.steps": "they run in parallel",
	} {
		out, log, err := s.kubectl(t, "explain", field)
		if err != nil {
			t.Errorf("%s: %v\n%s", field, err, log)
			continue
		}
		if text := strings.Join(strings.Fields(out), " "); !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing in\n%s", field, want, out)
		}
	}
}

func TestKubectlGet(t *testing.T) {
	s := start(t)
	ns := s.namespace(t)
	for _, path := range files(t, "manifests/samples/*.yaml") {
		_, objects := readAll(t, path)
		if _, err := s.create(t, ns, objects[0]); err != nil {
			t.Fatal(err)
		}
	}
	for what, want := range map[string]string{
		"pipelines":      "pipeline.kubectl-pipeline.io/shop\n", // a resource, although it is much like a category
		"pipelines shop": "pipeline.kubectl-pipeline.io/shop\n",
		"pl":             "pipeline.kubectl-pipeline.io/shop\n",
		"scr shop":       "sourcecoderepository.kubectl-pipeline.io/shop\n",
		"scp":            "sourcecodeprovider.kubectl-pipeline.io/github\n",
		"scc":            "sourcecodecredential.kubectl-pipeline.io/github-bot\n",
		"ps":             "pipelinesetting.kubectl-pipeline.io/default\n",
	} {
		out, log, err := s.kubectl(t, append([]string{"-n", ns, "get", "-o", "name"}, strings.Fields(what)...)...)
		if err != nil || out != want {
			t.Errorf("get %s printed %q (error: %v %s), want %q", what, out, err, log, want)
		}
	}
	out, log, err := s.kubectl(t, "-n", ns, "get", "cicd", "-o", "name")
	if n := strings.Count(out, "\n"); err != nil || n != 6 {
		t.Errorf("get cicd printed %d objects (error: %v %s), want one of each kind:\n%s", n, err, log, out)
	}
	out, log, err = s.kubectl(t, "-n", ns, "get", "pe")
	if err != nil || !strings.HasPrefix(out, "NAME") || !strings.Contains(strings.Join(strings.Fields(out), " "), "PIPELINE RUN PHASE BRANCH TRIGGER REASON STARTED AGE") {
		t.Errorf("get pe printed (error: %v %s)\n%s", err, log, out)
	}
}
