package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// groovyCall is one step that real Groovy called.
type groovyCall struct {
	Step  string
	Depth int
	Args  map[string]any
}

func (c *groovyCall) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&c.Step, &c.Depth, &c.Args})
}

type groovyResult struct {
	File, Error string
	Calls       []groovyCall
}

// runGroovy runs Jenkinsfiles, by name, in one JVM of real Groovy with steps that record. Without groovy the test is skipped.
func runGroovy(t *testing.T, jenkinsfiles map[string]string) map[string]groovyResult {
	t.Helper()
	groovy, err := exec.LookPath("groovy")
	if err != nil {
		t.Skip("no groovy in PATH; it is in Debian's package groovy (apt-get install groovy)")
	}
	dir := t.TempDir()
	names := sortedKeys(jenkinsfiles)
	args := []string{"testdata/groovy/record.groovy"}
	for i, name := range names {
		file := filepath.Join(dir, fmt.Sprintf("Jenkinsfile%d.groovy", i))
		if err := os.WriteFile(file, []byte(jenkinsfiles[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, file)
	}
	cmd := exec.CommandContext(t.Context(), groovy, args...)
	cmd.Env = append(os.Environ(), javaHome()...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("groovy: %v\n%s", err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(names) {
		t.Fatalf("groovy answered %d lines for %d files\n%s", len(lines), len(names), stderr.String())
	}
	results := map[string]groovyResult{}
	for i, line := range lines {
		var r groovyResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("groovy's answer for %s: %v", names[i], err)
		}
		results[names[i]] = r
	}
	return results
}

// javaHome names a JVM that Groovy can run in: Debian's default may be too new for it.
func javaHome() []string {
	if os.Getenv("JAVA_HOME") != "" {
		return nil
	}
	for _, glob := range []string{"/usr/lib/jvm/java-17-openjdk-*", "/usr/lib/jvm/java-11-openjdk-*"} {
		if dirs, err := filepath.Glob(glob); err == nil && len(dirs) > 0 {
			return []string{"JAVA_HOME=" + dirs[0]}
		}
	}
	return nil
}
