package pipeline

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/need"
)

// witness is real Groovy: one JVM for all tests of a process, since it takes seconds to start, and one for each worker of a fuzz run.
// It speaks a line protocol; see testdata/groovy/witness.groovy.
type witness struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

var sharedWitness struct {
	once sync.Once
	w    *witness
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if w := sharedWitness.w; w != nil {
		w.close()
	}
	os.Exit(code)
}

// groovyPath is the program. Without it the test is skipped.
func groovyPath(t testing.TB) string {
	t.Helper()
	return need.Program(t, "groovy", "apt-get install groovy")
}

// realGroovy starts Groovy when it does not run yet.
func realGroovy(t testing.TB) *witness {
	t.Helper()
	groovy := groovyPath(t)
	sharedWitness.once.Do(func() { sharedWitness.w, sharedWitness.err = startWitness(groovy) })
	if sharedWitness.err != nil {
		t.Fatal(sharedWitness.err)
	}
	return sharedWitness.w
}

func startWitness(groovy string) (*witness, error) {
	w := &witness{cmd: exec.Command(groovy, "testdata/groovy/witness.groovy")}
	// the stack is that of any thread of Jenkins, so that an expression that is nested too deeply fails here too
	w.cmd.Env = append(os.Environ(), "JAVA_OPTS=-Xmx2g -Xss1m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
	w.cmd.Env = append(w.cmd.Env, javaHome()...)
	w.cmd.Stderr = &w.stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.in, w.out = in, bufio.NewReaderSize(out, 1<<20)
	return w, w.cmd.Start()
}

func (w *witness) close() {
	_ = w.in.Close() // the end of its input is what it ends at
	_ = w.cmd.Wait()
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

// testimony is Groovy's answer.
type testimony struct {
	Error     groovyText
	Calls     []groovyCall
	Script    groovyText // of a config.xml
	Text      groovyText // value of an expression
	Constants int        // that Jenkins' transformer makes of a script, at most
}

// groovyCall is one step that Groovy called. Values are string, float64, bool and []any of strings.
type groovyCall struct {
	Step  string
	Depth int
	Args  map[string]any
}

func (c *groovyCall) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &[]any{&c.Step, &c.Depth, &c.Args}); err != nil {
		return err
	}
	decode := func(v any) (any, error) {
		if s, ok := v.(string); ok {
			return decodeUnits(s)
		}
		return v, nil
	}
	var err error
	for name, v := range c.Args {
		if list, ok := v.([]any); ok {
			for i := range list {
				if list[i], err = decode(list[i]); err != nil {
					return err
				}
			}
		}
		if c.Args[name], err = decode(v); err != nil {
			return err
		}
	}
	return nil
}

// groovyText is a Java string, which travels as base64 of its UTF-16BE units.
type groovyText string

func (t *groovyText) UnmarshalText(text []byte) error {
	s, err := decodeUnits(string(text))
	*t = groovyText(s)
	return err
}

func decodeUnits(text string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(raw[2*i:])
	}
	s := string(utf16.Decode(units))
	if !slices.Equal(units, utf16.Encode([]rune(s))) {
		return "", fmt.Errorf("half a character in %q", s)
	}
	return s, nil
}

// ask sends one request and waits for its answer.
func (w *witness) ask(t testing.TB, kind, text string) testimony {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	line := kind + " " + base64.StdEncoding.EncodeToString([]byte(text)) + "\n"
	_, err := io.WriteString(w.in, line)
	var answer []byte
	if err == nil {
		answer, err = w.out.ReadBytes('\n')
	}
	if err != nil {
		w.close()
		t.Fatalf("groovy ended: %v\n%s", err, w.stderr.String())
	}
	var out testimony
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatalf("groovy answered %.200q: %v", answer, err)
	}
	return out
}

// run lets Groovy compile and run a Jenkinsfile.
func (w *witness) run(t testing.TB, jenkinsfile string) testimony {
	t.Helper()
	return w.mustAsk(t, "script", jenkinsfile)
}

func (w *witness) mustAsk(t testing.TB, kind, text string) testimony {
	t.Helper()
	out := w.ask(t, kind, text)
	if out.Error != "" {
		t.Fatalf("groovy: %.400s", out.Error)
	}
	return out
}

// trace writes calls one a line; long texts are cut, they are compared elsewhere.
func trace(calls []groovyCall) string {
	var b strings.Builder
	for _, c := range calls {
		b.WriteString(strings.Repeat("  ", c.Depth) + c.Step)
		for _, k := range sortedKeys(c.Args) {
			text := fmt.Sprintf("%q", fmt.Sprint(c.Args[k]))
			if len(text) > 300 {
				text = text[:300] + "…"
			}
			b.WriteString(" " + k + "=" + text)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// scripts are the scripts that reached sh, in order.
func scripts(calls []groovyCall) []string {
	var out []string
	for _, c := range calls {
		if c.Step == "sh" {
			out = append(out, c.Args["script"].(string))
		}
	}
	return out
}
