package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// hardConfig has a step for each hard text, with the text as script, as a part of its environment, and as the name where a name can
// be it.
func hardConfig(t *testing.T) (text string, names []string) {
	t.Helper()
	steps := []any{}
	for _, name := range sortedKeys(hardTexts()) {
		hard := hardTexts()[name]
		step := map[string]any{"name": name, "runScriptConfig": map[string]any{"image": "busybox", "shellScript": "x" + hard}}
		if len(hard) < 1000 {
			step["env"] = map[string]any{"HARD": hard, "EASY": strings.ReplaceAll(hard, "$", "_")}
			if oneLine := strings.Join(strings.FieldsFunc(hard, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 }), " "); oneLine != "" {
				step["name"] = name + " " + strings.TrimSpace(oneLine)
			}
		}
		steps = append(steps, step)
		names = append(names, name)
	}
	doc, err := json.Marshal(map[string]any{"stages": []any{map[string]any{"name": `all '''of''' \u0041 $them`, "steps": steps}}})
	if err != nil {
		t.Fatal(err)
	}
	return jsonToYAML(string(doc)), names
}

// jsonToYAML: JSON is YAML but for surrogate pairs, which Go does not write, and for what encoding/json leaves bare.
func jsonToYAML(doc string) string {
	var b strings.Builder
	for _, r := range doc {
		if isYAMLText(r) {
			b.WriteRune(r)
			continue
		}
		quoted, _ := json.Marshal(string(utf16.Decode([]uint16{uint16(r)})))
		if s := strings.Trim(string(quoted), `"`); strings.HasPrefix(s, `\`) {
			b.WriteString(s)
			continue
		}
		b.WriteString(groovyEscape(r)) // \uXXXX in both
	}
	return b.String()
}

// TestHardTexts follows texts that break naive encoders all the way: config file, Jenkinsfile, the config.xml that pkg/jenkins posts,
// the JVM's XML parser or the double's, real Groovy or the double's interpreter, sh.
func TestHardTexts(t *testing.T) {
	w := realGroovy(t)
	hard, names := hardConfig(t)
	in := compileInput(t, hard)
	c, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	calls := w.run(t, c.Jenkinsfile).Calls
	run := runInDouble(t, c.Jenkinsfile, shellCalls(calls))
	agree(t, calls, run)
	stored := w.mustAsk(t, "job", run.config)
	if stored.Script != groovyText(c.Jenkinsfile) {
		t.Error("config.xml has another script than was compiled")
	}
	if diff := cmp.Diff(calls, stored.Calls); diff != "" {
		t.Errorf("calls (-of the Jenkinsfile +of config.xml):\n%s", diff)
	}
	got := scripts(stored.Calls)[1:] // after the clone
	if len(got) != len(names) {
		t.Fatalf("%d scripts, want %d", len(got), len(names))
	}
	for i, name := range names {
		if diff := cmp.Diff("x"+hardTexts()[name], got[i]); diff != "" {
			t.Errorf("script %s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(asked(t, in, c, true), arrived(t, stored.Calls, c, in.Config)); diff != "" {
		t.Errorf("calls (-asked +arrived):\n%s", diff)
	}
}

// TestLongAndCompleteScripts: what no config file can hold but a script may, since the encoder must not be the limit.
func TestLongAndCompleteScripts(t *testing.T) {
	w := realGroovy(t)
	var every strings.Builder
	for r := rune(1); r <= 0x10FFFF; r++ {
		if r >= 0x10000 && r&0xFFFF > 0x10 && r&0xFFFF < 0xFFF0 { // the ends of each further plane
			continue
		}
		if _, bad := unrepresentable(string(r)); !bad && !utf16.IsSurrogate(r) {
			every.WriteRune(r)
		}
	}
	line := "echo 'é\\u0041 $x' \"😀\" \\\t`日本`\r\n"
	texts := map[string]string{
		"every character": every.String(),
		"1 MB":            strings.Repeat(line, 1<<20/len(line)),
		"1 MB of a letter that takes six characters": strings.Repeat("é", 1<<19),
	}
	for _, name := range sortedKeys(texts) {
		t.Run(name, func(t *testing.T) {
			in := compileInput(t, "stages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]")
			in.Config.Stages[0].Steps[0].RunScriptConfig.ShellScript = texts[name]
			c, err := Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			for r, bad := range c.Jenkinsfile {
				if bad != '\n' && (bad < ' ' || bad > '~') {
					t.Fatalf("character %U at %d of the Jenkinsfile", bad, r)
				}
			}
			run := runInDouble(t, c.Jenkinsfile, nil)
			got := scripts(w.mustAsk(t, "job", run.config).Calls)[1]
			if got != texts[name] {
				t.Errorf("another script arrived in Groovy: %d bytes, want %d", len(got), len(texts[name]))
			}
			if got := run.shells["2.1 step-1-1"].Script; got != texts[name] {
				t.Errorf("another script arrived in the double: %d bytes, want %d", len(got), len(texts[name]))
			}
		})
	}
}
