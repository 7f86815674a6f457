package jenkinstest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// contract is every row that docs/jenkins-double.md must have beside the 33 requests.
const contract = "H1 H2 H3 H4 H5 Q1 Q2 Q3 Q4 Q5 Q6 B1 B2 R1 R2 R3 I1 I2 G1 G2 L1 L2 L3 L4 A1 A2 A3 A4 A5 S1 S2 S3 S4 S5 S6 S7 S8 " +
	"J1 J2 J3 J4 J5 J6 J7 P1 P2 P3 P4 F1 F2 F3"

var testName = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)

// TestConformanceTable: a row without a test is a claim, and a test that is gone proves nothing.
func TestConformanceTable(t *testing.T) {
	const root = "../../.."
	text, err := os.ReadFile(root + "/docs/jenkins-double.md")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(contract)
	for i := range 33 {
		want = append(want, strconv.Itoa(i+1))
	}
	tests := testsIn(t, root+"/pkg/jenkins/jenkinstest")
	named := map[string]bool{"TestMain": true, "TestConformanceTable": true}
	rows := map[string]bool{}
	columns := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		key := strings.TrimSpace(cells[0])
		switch {
		case !strings.HasPrefix(line, "|") || strings.HasPrefix(key, "---"):
			continue
		case key == "row":
			columns = len(cells)
			continue
		case len(cells) != columns:
			t.Errorf("row %s has %d cells, its table %d", key, len(cells), columns)
			continue
		case rows[key], !slices.Contains(want, key):
			t.Errorf("row %s is there twice, or not in the contract", key)
		}
		rows[key] = true
		proofs := testName.FindAllString(cells[len(cells)-1], -1)
		if len(proofs) == 0 || strings.TrimSpace(cells[len(cells)-2]) == "" {
			t.Errorf("row %s names no test or no source", key)
		}
		for _, name := range proofs {
			named[name] = true
			if !tests[name] && !testsIn(t, root+"/test/foreign")[name] {
				t.Errorf("row %s: there is no %s", key, name)
			}
		}
	}
	for _, key := range want {
		if !rows[key] {
			t.Errorf("row %s is missing", key)
		}
	}
	for name := range tests {
		if !named[name] {
			t.Errorf("%s is in no row", name)
		}
	}
}

func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(dir + "/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	found := map[string]bool{}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && testName.MatchString(fn.Name.Name) {
				found[fn.Name.Name] = true
			}
		}
	}
	return found
}
