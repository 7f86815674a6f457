package jenkinstest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGeneratedJenkinsfilesCompile(t *testing.T) {
	files, err := filepath.Glob("../../pipeline/testdata/compile/*.Jenkinsfile")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden Jenkinsfiles of pkg/pipeline: %v", err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckJenkinsfile(string(text)); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

func TestStringLiterals(t *testing.T) {
	for name, tc := range map[string]struct{ src, want string }{
		"plain":                    {`'abc'`, "abc"},
		"escapes":                  {`'\\ \' \n\r\t\b\f'`, "\\ ' \n\r\t\b\f"},
		"nothing is interpolated":  {`'$x ${y} "z" /* */ // no'`, `$x ${y} "z" /* */ // no`},
		"unicode escape":           {`'\u00e9\u4e16'`, "é世"},
		"surrogate pair":           {`'\ud83d\ude80'`, "🚀"},
		"several u are one escape": {`'\uuu0041'`, "A"},
		"an escaped backslash before u is no code": {`'\\u0041'`, `\u0041`},
		"backslash and u in two literals":          {`'\\' + 'u0041'`, `\u0041`},
		"concatenation over lines":                 {"'a' +\n'b' + 'c'", "abc"},
		"raw unicode":                              {`'世界'`, "世界"},
		"empty":                                    {`''`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := parseScript("echo(" + tc.src + ")")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, s.body.calls[0].args[0].value); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotTheDialectDoesNotCompile(t *testing.T) {
	for name, tc := range map[string]struct{ src, want string }{
		"double quotes":                     {`echo("a")`, `WorkflowScript: 1: unexpected char: '"' @ line 1, column 6.`},
		"triple quotes":                     {`echo('''a''')`, "unexpected token: ''' @ line 1, column 6."},
		"an unknown escape":                 {`echo('\x')`, "unexpected char: '\\' @ line 1, column 7."},
		"a line end in a literal":           {"echo('a\nb')", "@ line 1, column 8."},
		"a line end as a unicode escape":    {`echo('a\u000ab')`, "@ line 1, column 8."},
		"a quote as a unicode escape":       {`echo('a\u0027b')`, "found '<EOF>' @ line 1, column 12."},
		"a backslash as a unicode escape":   {`echo('a\u005c')`, "expecting ''', found '<EOF>'"},
		"an open literal":                   {`echo('a`, "expecting ''', found '<EOF>'"},
		"a variable":                        {"x = 'a'", "unexpected char: '=' @ line 1, column 3."},
		"a definition without a method":     {"def x = 1", "unexpected char: '=' @ line 1, column 7."},
		"a method with parameters":          {"def f(a) {\n}", "unexpected token: a @ line 1, column 7."},
		"a method twice":                    {"def f() {\n}\ndef f() {\n}", "duplicates another method"},
		"a condition":                       {"if (true) {\n}", "unexpected token: true @ line 1, column 5."},
		"a condition inside of a block":     {"stage('a') {\nif (env.BUILD_NUMBER != '1') {\n}\n}", "unexpected token: if @ line 2, column 1."},
		"a condition on something else":     {"if (env.PATH != '1') {\n}", "unexpected token: PATH @ line 1, column 9."},
		"another way":                       {"if (env.BUILD_NUMBER != '1') {\n} else {\n}", "unexpected token: else @ line 2, column 3."},
		"command style":                     {"echo 'a'", "unexpected token: 'a' @ line 1, column 6."},
		"two calls in a line":               {"echo('a') echo('b')", "unexpected token: echo @ line 1, column 11."},
		"semicolons":                        {"echo('a');", "unexpected char: ';'"},
		"a block that does not end":         {"node(POD_LABEL) {\n echo('a')\n", "unexpected token: end of file @ line 3, column 1."},
		"a brace on a line of its own":      {"stage('a')\n{\n}", "unexpected token: { @ line 2, column 1."},
		"a plus on the next line":           {"echo('a'\n+ 'b')", "unexpected token: + @ line 2, column 1."},
		"a method of an object":             {"echo('a'.trim())", "unexpected token: . @ line 1, column 9."},
		"a comment in the other style":      {"/* a */", "unexpected char: '/'"},
		"a number with a suffix":            {"retry(3L) {\n}", "unexpected number: 3"},
		"a list with other things":          {"withEnv([1]) {\n}", "unexpected token: 1"},
		"a literal for no class file":       {"echo('" + strings.Repeat("a", 65536) + "')", "String too long"},
		"a comma too many":                  {"echo('a',)", "unexpected token: )"},
		"invalid UTF-8":                     {"echo('\xff')", "not UTF-8"},
		"blocks without end":                {strings.Repeat("node(POD_LABEL) {\n", 200), "nested too deeply"},
		"a keyword as a value":              {"echo(null)", "unexpected token: null"},
		"arguments of a method in argument": {"podTemplate(podRetention: never(1)) {\n}", "unexpected token: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckJenkinsfile(tc.src)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want %q in it", err, tc.want)
			}
		})
	}
}

func FuzzParseScript(f *testing.F) {
	for _, seed := range []string{
		"", "// c\n", `echo('a')`, "def f() {\n  stage('1 a') {\n    sh(label: 'x', script: 'y\\n')\n  }\n}\nf()\n",
		"input(message: 'a', parameters: [string(name: 'x'), choice(name: 'y', choices: ['a', 'b'])])", "parallel(\n  '2.1 a': { f() },\n  failFast: true\n)", `withEnv(['A=' + 'b', '\u00e9=\\']) {` + "\n}", "node(POD_LABEL) {\n}", `'\ud83d'`, "podTemplate(podRetention: never()) {\n}",
		"if (env.BUILD_NUMBER != '1') {\n  error('a')\n}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, err := parseScript(src)
		if err != nil {
			report := compileReport(err)
			text, ok := strings.CutPrefix(report, "org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\n")
			if !ok || !strings.HasPrefix(text, "WorkflowScript: ") && !strings.HasPrefix(text, "General error during class generation: ") {
				t.Errorf("report = %q", report)
			}
			return
		}
		if s.body == nil {
			t.Error("a script without a body")
		}
	})
}

func FuzzParseTree(f *testing.F) {
	for _, seed := range []string{"a", "a,b[c{0,20}]", "jobs[name,builds[number]{,3}],x{2}", "a[", "a{", "a[b]{1,}", "]", ",", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, s string) { _, _ = parseTree(s) })
}

// FuzzForms feeds what is sent in forms and bodies beside configs.
func FuzzForms(f *testing.F) {
	for _, seed := range []string{
		`{"parameter":[{"name":"a","value":"b"},{"name":"c","value":true}],"statusCode":"303"}`, `{"parameter":{"name":"a","value":null}}`, `{"parameter":[`, `{"parameter":3}`,
		"pipeline { agent any\n stages { stage('x') { steps { sh '''a''' } } } }", `"""`, "/*", "}",
		"<org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl><id>a</id><secret>s</secret></org.jenkinsci.plugins.plaincredentials.impl.StringCredentialsImpl>",
		"<?xml version='1.1'?><a>&#x1;&#0;</a>",
	} {
		f.Add(seed)
	}
	defs := []paramDef{{name: "a", kind: "String"}, {name: "b", kind: "Choice", choices: []string{"x"}}, {name: "c", kind: "Boolean"}}
	f.Fuzz(func(t *testing.T, s string) {
		var form submittedForm
		if json.Unmarshal([]byte(s), &form) == nil {
			values, err := form.Parameter.values(defs)
			if err == nil && len(values) != len(form.Parameter) {
				t.Errorf("%d values of %d", len(values), len(form.Parameter))
			}
		}
		_ = validateDeclarative(s)
		if c, err := parseCredential(s); err == nil {
			if strings.Contains(c.redacted(), "<secret>s</secret>") || c.id == "" {
				t.Errorf("credential = %+v", c)
			}
		}
	})
}

func FuzzParseConfig(f *testing.F) {
	f.Add(`<?xml version='1.1'?><flow-definition><description>x</description></flow-definition>`)
	f.Add(`<project/>`)
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = parseConfig(s)
		_ = savedConfig(s)
	})
}

func TestTree(t *testing.T) {
	leaf := func(i int) *object {
		o := &object{class: "Leaf"}
		o.ref("n", func() any { return i })
		o.add("more", func() any { return "m" })
		return o
	}
	root := &object{class: "Root"}
	root.add("name", func() any { return "r" })
	root.add("list", func() any { return list{5, leaf} })
	root.add("none", func() any { return (*object)(nil) })
	n := func(numbers ...int) []any {
		out := []any{}
		for _, i := range numbers {
			out = append(out, map[string]any{"_class": "Leaf", "n": i})
		}
		return out
	}
	for tree, want := range map[string]any{
		"name":                   map[string]any{"_class": "Root", "name": "r"},
		"unknown":                map[string]any{"_class": "Root"},
		"list[n]{0,2}":           map[string]any{"_class": "Root", "list": n(0, 1)},
		"list[n]{3,}":            map[string]any{"_class": "Root", "list": n(3, 4)},
		"list[n]{,1}":            map[string]any{"_class": "Root", "list": n(0)},
		"list[n]{2}":             map[string]any{"_class": "Root", "list": n(2)},
		"list[n]{9,12}":          map[string]any{"_class": "Root", "list": n()},
		"list{4},name,none[x]":   map[string]any{"_class": "Root", "list": []any{map[string]any{"_class": "Leaf"}}, "name": "r", "none": nil},
		"list[*]{0,1}":           map[string]any{"_class": "Root", "list": []any{map[string]any{"_class": "Leaf", "n": 0, "more": "m"}}},
		" name , list[ n ]{0,1}": map[string]any{"_class": "Root", "name": "r", "list": n(0)},
	} {
		t.Run(tree, func(t *testing.T) {
			parsed, err := parseTree(tree)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, render(root, parsed, 0)); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(map[string]any{"_class": "Root", "name": "r", "list": n(0, 1, 2, 3, 4), "none": nil}, render(root, nil, 0)); diff != "" {
		t.Errorf("document without a tree (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "a[", "a[]", "a]", "a{", "a{x}", "a{-1}", "a{1,x}", "a,,b", "[a]"} {
		if _, err := parseTree(bad); err == nil {
			t.Errorf("tree %q was accepted", bad)
		}
	}
}
