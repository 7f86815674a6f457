package repo

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kubectl-pipeline/kubectl-pipeline/"

// mayImport says which of our packages each package may import, itself left out.
// Anything else fails TestImportDirection.
var mayImport = map[string][]string{
	"cmd/kubectl-pipeline":       {"pkg/cli"},
	"cmd/hookd":                  {"pkg/hook", "pkg/controller", "pkg/logs", "pkg/jenkins", "pkg/scm", "pkg/kube", "pkg/version"}, // it wires them
	"cmd/jenkins-double":         {"pkg/jenkins/jenkinstest"},                                                                     // for tests: it is not released
	"manifests":                  {},
	"pkg/apis/pipeline/v1alpha1": {},
	"pkg/cli":                    {"pkg/pipeline", "pkg/kube", "pkg/apis/pipeline/v1alpha1", "pkg/version", "manifests"},
	"pkg/controller":             {"pkg/pipeline", "pkg/jenkins", "pkg/logs", "pkg/scm", "pkg/delivery", "pkg/kube", "pkg/apis/pipeline/v1alpha1"},
	"pkg/delivery":               {},
	"pkg/hook":                   {"pkg/scm", "pkg/registry", "pkg/delivery", "pkg/pipeline", "pkg/kube", "pkg/apis/pipeline/v1alpha1"},
	"pkg/jenkins":                {},
	"pkg/kube":                   {"pkg/apis/pipeline/v1alpha1"},
	"pkg/logs":                   {"pkg/kube", "pkg/apis/pipeline/v1alpha1"},
	"pkg/pipeline":               {"pkg/apis/pipeline/v1alpha1"},
	"pkg/registry":               {"pkg/delivery", "pkg/apis/pipeline/v1alpha1"},
	"pkg/scm":                    {"pkg/delivery", "pkg/apis/pipeline/v1alpha1"},
	"pkg/version":                {},
}

// banned names packages that a package must not reach, however indirectly, and why.
var banned = []struct{ from, to, why string }{
	{"pkg/pipeline", "k8s.io/client-go/rest", "the brain does no I/O: its decisions are tables in its tests"},
	{"cmd/kubectl-pipeline", "k8s.io/client-go/kubernetes", "it doubles the plugin's size"},
	{"cmd/kubectl-pipeline", "k8s.io/client-go/discovery", "it doubles the plugin's size, and costs two requests per command"},
	{"cmd/kubectl-pipeline", "k8s.io/cli-runtime/pkg/genericclioptions", "it doubles the plugin's size"},
	{"cmd/kubectl-pipeline", "k8s.io/cli-runtime/pkg/resource", "it doubles the plugin's size"},
	{"cmd/kubectl-pipeline", "k8s.io/client-go/tools/record", "it brings protobuf: 2 MiB"},
	{"cmd/kubectl-pipeline", "google.golang.org/protobuf/proto", "2 MiB that nothing needs"},
	{"cmd/hookd", "k8s.io/client-go/kubernetes", "it brings all API groups along: 12 MiB"},
	{"cmd/kubectl-pipeline", module + "pkg/jenkins", "the plugin speaks to the Kubernetes API only"},
	{"cmd/kubectl-pipeline", module + "pkg/controller", "the plugin speaks to the Kubernetes API only"},
	{"pkg/hook", module + "pkg/controller", "they meet in a PipelineExecution, so that either can be restarted alone"},
	{"pkg/controller", module + "pkg/hook", "they meet in a PipelineExecution, so that either can be restarted alone"},
	{"cmd/hookd", module + "pkg/jenkins/jenkinstest", "the Jenkins double is for tests and the demo"},
	{"cmd/kubectl-pipeline", module + "pkg/jenkins/jenkinstest", "the Jenkins double is for tests and the demo"},
	{"test/chaos", module + "pkg/pipeline", "who judges the brain must not think with it"},
	{"test/chaos", module + "pkg/controller", "who judges the controllers must not share their code"},
	{"test/chaos", module + "pkg/jenkins", "who judges the client must not share its code"},
	{"test/once", module + "pkg/pipeline", "who judges the brain must not think with it"},
	{"test/once", module + "pkg/controller", "who judges the controllers must not share their code"},
	{"test/once", module + "pkg/jenkins", "who judges the client must not share its code"},
}

// impure names packages that pkg/pipeline must not import itself: the brain does no
// I/O and reads no environment, so that all it decides is a table in its tests.
// (apimachinery's types reach net/http; what they reach is not used.)
var impure = []string{"net/http", "net", "os", "os/exec", "io/fs", "math/rand", "math/rand/v2", "crypto/rand"}

// onlyIn says which packages alone may import a library.
var onlyIn = map[string][]string{
	"github.com/bndr/gojenkins":            {"pkg/jenkins"}, // and, over its own transport, the tests in test/foreign
	"github.com/go-playground/webhooks/v6": {"pkg/scm"},
	"github.com/drone/go-scm":              {"pkg/scm"},
	"github.com/go-git/go-git/v5":          {"pkg/scm"},
	"k8s.io/cli-runtime":                   {"pkg/cli", "cmd/kubectl-pipeline"},
	"github.com/prometheus/client_golang":  {"pkg/controller", "pkg/hook", "pkg/logs", "cmd/hookd"},
	"k8s.io/client-go/plugin/pkg/client":   {"pkg/cli"},
}

func TestImportDirection(t *testing.T) {
	for pkg, imports := range goList(t, "{{.ImportPath}} {{join .Imports \" \"}}", "./pkg/...", "./cmd/...", "./manifests/...") {
		own := strings.TrimPrefix(pkg, module)
		allowed, known := mayImport[own]
		if !known && !strings.Contains(own, "/jenkinstest") && !strings.Contains(own, "/internal/") {
			t.Errorf("%s is not in the table: say what it may import", own)
			continue
		}
		for _, imp := range imports {
			if own == "pkg/pipeline" && slices.Contains(impure, imp) {
				t.Errorf("%s imports %s: the brain does no I/O", own, imp)
			}
			to, ours := strings.CutPrefix(imp, module)
			if known && ours && !slices.Contains(allowed, to) && !strings.HasPrefix(to, own+"/internal/") {
				t.Errorf("%s imports %s: not allowed by the table (ARCHITECTURE.md, import direction)", own, to)
			}
			for library, in := range onlyIn {
				if strings.HasPrefix(imp, library) && !slices.ContainsFunc(in, func(p string) bool { return strings.HasPrefix(own, p) }) {
					t.Errorf("%s imports %s: only %v may, so that its quirks stay in one place", own, imp, in)
				}
			}
		}
	}
}

func TestBannedDependencies(t *testing.T) {
	deps := map[string][]string{}
	for _, b := range banned {
		if _, ok := deps[b.from]; !ok {
			for _, d := range goList(t, "{{.ImportPath}} {{join .Deps \" \"}}", "./"+b.from) {
				deps[b.from] = d
			}
		}
		if slices.Contains(deps[b.from], b.to) {
			t.Errorf("%s reaches %s: %s", b.from, b.to, b.why)
		}
	}
}

// goList runs go list at the repository's root and returns, by first word of each
// line, the others.
func goList(t *testing.T, format string, patterns ...string) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", format}, patterns...)...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v\n%s", patterns, err, stderr(err))
	}
	lines := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		if words := strings.Fields(line); len(words) > 0 {
			lines[words[0]] = words[1:]
		}
	}
	return lines
}
