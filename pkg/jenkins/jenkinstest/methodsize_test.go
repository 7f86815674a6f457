package jenkinstest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// shells are steps of 119 bytes of code each.
func shells(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "sh(label: 'step %d', script: 'make')\n", i)
	}
	return b.String()
}

func TestMethodsThatAreTooLarge(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		fits   bool
	}{
		"three hundred steps in one method":     {"def a() {\n" + shells(500) + "}\na()\n", true},
		"six hundred steps in one method":       {"def a() {\n" + shells(600) + "}\na()\n", false},
		"six hundred steps outside of methods":  {shells(600), false},
		"a closure belongs to its method":       {"def a() {\nstage('x') {\n" + shells(300) + "}\nstage('y') {\n" + shells(300) + "}\n}\na()\n", false},
		"methods are counted one by one":        {"def a() {\n" + shells(300) + "}\ndef b() {\n" + shells(300) + "}\na()\nb()\n", true},
		"a long text is data, not code":         {"echo('" + strings.Repeat("x", 60_000) + "')\n", true},
		"a text of thousands of pieces is code": {"echo('x'" + strings.Repeat(" +\n'x'", 2500) + ")\n", false},
		"branches belong to their method":       {"parallel(\n'a': {\n" + shells(300) + "},\n'b': {\n" + shells(300) + "}\n)\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := jenkinstest.CheckJenkinsfile(tc.script); (err == nil) != tc.fits {
				t.Errorf("error = %v", err)
			}
		})
	}
	f := newFixture(t, jenkinstest.Options{})
	f.run(t, "f/j", "def huge() {\n"+shells(600)+"}\nhuge()\n")
	b := f.wait(t, "f/j")
	if want := "org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\nGeneral error during class generation: Method code too large!\n"; b.Result != "FAILURE" || !strings.Contains(b.Log, want) || len(b.Stages) > 0 {
		t.Errorf("%s\n%s", b.Result, b.Log)
	}
}
