package repo

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// modeIDs are all ids that docs/failure-modes.md has to account for.
func modeIDs() []string {
	var ids []string
	for group, n := range map[string]int{"J": 46, "R": 26} {
		for i := range n {
			ids = append(ids, fmt.Sprint(group, i+1))
		}
	}
	return ids
}

// mode is a row of docs/failure-modes.md.
type mode struct {
	id, symptom, outcome, todo string
	tests                      []testName
}

// testName is "pkg/dir.TestName" or "pkg/dir.TestName/subtest", subtests as they are written in the source.
type testName struct{ dir, function, subtest string }

var (
	modeRow   = regexp.MustCompile(`^\| ([JR][0-9]+) \| (.+) \| (.+) \| (.+) \| (.+) \|$`)
	modeTest  = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+|Fuzz[A-Za-z0-9]+)(?:/([^`]+))?`")
	modeOpen  = regexp.MustCompile(`^\| ([JR][0-9]+) \| (.+) \|$`)
	modeWords = regexp.MustCompile("`([A-Z][A-Za-z]+)`")
)

// TestModesAreTested: every failure mode is proved by tests that exist, or said to be
// open: a page that promises what nobody tests is worse than none.
func TestModesAreTested(t *testing.T) {
	rows, open := readModes(t)
	for _, id := range modeIDs() {
		row, listed := rows[id]
		_, isOpen := open[id]
		switch {
		case !listed:
			t.Errorf("docs/failure-modes.md has no row %s", id)
		case len(row.tests) == 0 && !isOpen:
			t.Errorf("%s names no test and is not listed as open", id)
		}
	}
	for id := range open {
		if _, listed := rows[id]; !listed {
			t.Errorf("%s is listed as open, but there is no such mode", id)
		}
	}
	sources := map[string]*testSource{}
	for id, row := range rows {
		for _, name := range row.tests {
			if sources[name.dir] == nil {
				sources[name.dir] = parseTests(t, name.dir)
			}
			if why := sources[name.dir].lacks(name); why != "" {
				t.Errorf("%s: %s", id, why)
			}
		}
	}
	tested := map[string]bool{}
	for _, row := range rows {
		for _, name := range row.tests {
			tested[name.dir+"."+name.function+"/"+name.subtest] = true
		}
	}
	for _, sub := range slices.Sorted(maps.Keys(sources["pkg/controller"].modes)) {
		if !tested["pkg/controller.TestModes/"+sub] {
			t.Errorf("pkg/controller.TestModes/%s proves a mode, but docs/failure-modes.md does not name it", sub)
		}
		for _, id := range regexp.MustCompile(`\b[JR][0-9]+\b`).FindAllString(sub, -1) {
			if row := rows[id]; !slices.ContainsFunc(row.tests, func(n testName) bool { return n.subtest == sub }) {
				t.Errorf("row %s does not name pkg/controller.TestModes/%s", id, sub)
			}
		}
	}
}

// TestModesNameRealReasons: words in the outcomes are phases, reasons and conditions that
// people can meet.
func TestModesNameRealReasons(t *testing.T) {
	known := map[string]bool{}
	for _, file := range []string{"reasons.go", "execution_types.go", "pipeline_types.go", "common_types.go"} {
		path := filepath.Join(root, "pkg/apis/pipeline/v1alpha1", file)
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			continue // the reasons are required below
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, name := range spec.Names {
					if i < len(spec.Values) && (strings.HasPrefix(name.Name, "Reason") || strings.HasPrefix(name.Name, "Phase") || strings.HasPrefix(name.Name, "Condition") || strings.HasPrefix(name.Name, "Control")) {
						if lit, ok := spec.Values[i].(*ast.BasicLit); ok {
							value, err := strconv.Unquote(lit.Value)
							if err != nil {
								t.Fatal(err)
							}
							known[value] = true
						}
					}
				}
			}
			return true
		})
	}
	if !known["EngineLost"] || !known["Running"] {
		t.Fatalf("the reasons or the phases were not found: %v", known)
	}
	rows, _ := readModes(t)
	named := 0
	for id, row := range rows {
		for _, m := range modeWords.FindAllStringSubmatch(row.outcome, -1) {
			if named++; !known[m[1]] {
				t.Errorf("%s: %s is no phase, reason or condition", id, m[1])
			}
		}
	}
	if named < 40 {
		t.Errorf("only %d reasons are named", named)
	}
}

// readModes reads the rows of the page, and what it says is open.
func readModes(t *testing.T) (rows map[string]mode, open map[string]string) {
	t.Helper()
	rows, open = map[string]mode{}, map[string]string{}
	text := read(t, root+"/docs/failure-modes.md")
	inOpen := false
	for line := range bytes.Lines(text) {
		s := strings.TrimSpace(string(line))
		if strings.HasPrefix(s, "## ") {
			inOpen = s == "## Open"
		}
		if inOpen {
			if m := modeOpen.FindStringSubmatch(s); m != nil {
				open[m[1]] = m[2]
			}
			continue
		}
		m := modeRow.FindStringSubmatch(s)
		if m == nil {
			if regexp.MustCompile(`^\| ?[JR][0-9]+`).MatchString(s) {
				t.Errorf("not a row of five cells: %s", s)
			}
			continue
		}
		row := mode{id: m[1], symptom: m[2], outcome: m[3], todo: m[4]}
		if _, twice := rows[row.id]; twice {
			t.Errorf("%s has two rows", row.id)
		}
		for _, n := range modeTest.FindAllStringSubmatch(m[5], -1) {
			row.tests = append(row.tests, testName{n[1], n[2], n[3]})
		}
		if n := strings.Count(m[5], "`"); n != 2*len(row.tests) {
			t.Errorf("%s: the tests are not all of the form `pkg/x.TestY/subtest`: %s", row.id, m[5])
		}
		rows[row.id] = row
	}
	return rows, open
}

// testSource is what the tests of a package are called.
type testSource struct {
	dir      string
	literals map[string]map[string]bool // by function, or variable: string literals in it
	uses     map[string]map[string]bool // by function: identifiers in it
	modes    map[string]bool            // keys of the variables that TestModes uses
}

func parseTests(t *testing.T, dir string) *testSource {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	s := &testSource{dir: dir, literals: map[string]map[string]bool{}, uses: map[string]map[string]bool{}, modes: map[string]bool{}}
	for _, path := range files {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					s.note(d.Name.Name, d)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						for _, name := range v.Names {
							s.note(name.Name, v)
						}
						if isModeTable(v) {
							s.noteKeys(v)
						}
					}
				}
			}
		}
	}
	return s
}

func (s *testSource) note(name string, n ast.Node) {
	s.literals[name], s.uses[name] = map[string]bool{}, map[string]bool{}
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				if value, err := strconv.Unquote(n.Value); err == nil {
					s.literals[name][value] = true
				}
			}
		case *ast.Ident:
			s.uses[name][n.Name] = true
		}
		return true
	})
}

// isModeTable: a variable such as `lostModes = map[string]func(*testing.T, *modes){…}`.
func isModeTable(v *ast.ValueSpec) bool {
	return len(v.Names) == 1 && len(v.Values) == 1 && strings.HasSuffix(v.Names[0].Name, "Modes")
}

func (s *testSource) noteKeys(v *ast.ValueSpec) {
	table, ok := v.Values[0].(*ast.CompositeLit)
	if !ok {
		return
	}
	for _, e := range table.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if lit, ok := kv.Key.(*ast.BasicLit); ok {
				if value, err := strconv.Unquote(lit.Value); err == nil {
					s.modes[value] = true
				}
			}
		}
	}
}

// lacks says what of a test is not in the source, "" when all is: the function, and a
// subtest of that name in it, or in what it uses.
func (s *testSource) lacks(n testName) string {
	literals, ok := s.literals[n.function]
	if !ok {
		return fmt.Sprintf("%s has no %s", n.dir, n.function)
	}
	if n.subtest == "" || literals[n.subtest] {
		return ""
	}
	for name := range s.uses[n.function] {
		if s.literals[name][n.subtest] {
			return ""
		}
	}
	return fmt.Sprintf("%s.%s has no subtest %q", n.dir, n.function, n.subtest)
}
