package pipeline

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins/jenkinstest"
)

// FuzzRealGroovy gives random texts to the config parser, to the encoder, and what that writes to real Groovy and to the double's reader.
// Each worker has a JVM of its own, so run it with few of them: go test ./pkg/pipeline -run '^$' -fuzz FuzzRealGroovy -parallel 1.
func FuzzRealGroovy(f *testing.F) {
	groovyPath(f)
	for _, text := range hardTexts() {
		if len(text) < 1000 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, bad := unrepresentable(text)
		if script, ok := throughConfig(t, "x"+text); ok == bad || ok && script != "x"+text {
			t.Fatalf("the config file gives %q (%t) for %q, which has the character %U that cannot be passed on: %t", script, ok, "x"+text, r, bad)
		}
		if bad {
			return
		}
		literal := groovyString(text)
		if got := realGroovy(t).mustAsk(t, "text", literal).Text; string(got) != text {
			t.Errorf("Groovy reads %q as %q, want %q", literal, got, text)
		}
		if err := jenkinstest.CheckJenkinsfile("echo(" + literal + ")\n"); err != nil {
			t.Errorf("the double does not read %q: %v", literal, err)
		}
		if n := groovyLength(text); n > len(literal) || len(literal)-n > 2+6*(n/(maxLiteral-12)) {
			t.Errorf("the length of %q is %d, counted as %d", literal, len(literal), n)
		}
	})
}

// throughConfig writes a script into a config file and reads it back; ok is false when it is refused, which must be at its place.
func throughConfig(t *testing.T, script string) (text string, ok bool) {
	t.Helper()
	quoted, err := json.Marshal(script)
	if err != nil {
		t.Fatal(err)
	}
	const head = "stages:\n- name: a\n  steps:\n  - runScriptConfig: {image: i, shellScript: "
	doc := head + jsonToYAML(string(quoted)) + "}\n"
	if !utf8.ValidString(script) {
		doc = head + `"` + script + `"}` // JSON would hide it
	}
	config, err := ParseConfig(doc)
	if err == nil {
		return config.Stages[0].Steps[0].RunScriptConfig.ShellScript, true
	}
	errs, isConfig := errors.AsType[ConfigErrors](err)
	if !isConfig {
		t.Fatalf("error %v, want ConfigErrors", err)
	}
	if first := errs[0]; first.Line < 4 || first.Line == 4 && first.Column < 44 {
		t.Errorf("%v is not where the script is", first)
	}
	return "", false
}
