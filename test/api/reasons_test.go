package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestReasonsAreDocumented compares docs/reasons.md with the constants.
func TestReasonsAreDocumented(t *testing.T) {
	const source = root + "/pkg/apis/pipeline/v1alpha1/reasons.go"
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var constants []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatalf("%s: %v", name.Name, err)
			}
			if name.Name != "Reason"+value && name.Name != "Condition"+value {
				t.Errorf("%s is %q: the name should say so", name.Name, value)
			}
			constants = append(constants, value)
		}
		return true
	})
	if len(constants) < 30 {
		t.Fatalf("found %d constants in %s", len(constants), source)
	}
	text, err := os.ReadFile(root + "/docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, m[1])
		if !slices.Contains(constants, m[1]) {
			t.Errorf("docs/reasons.md documents %s: no such constant", m[1])
		}
	}
	for _, c := range constants {
		if !slices.Contains(documented, c) {
			t.Errorf("docs/reasons.md says nothing of %s", c)
		}
	}
	if n := strings.Count(string(text), "| |"); n > 0 {
		t.Errorf("docs/reasons.md has %d empty cells", n)
	}
}
