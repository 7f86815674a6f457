package api

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var yamlBlock = regexp.MustCompile("(?ms)^( *)```yaml\n(.*?)^ *```")

// TestYAMLInDocuments: an example that one copies parses; one of an object of ours is
// accepted by the API server.
func TestYAMLInDocuments(t *testing.T) {
	s := start(t)
	blocks := 0
	for _, path := range append(files(t, "docs/*.md"), root+"/README.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			block := strings.ReplaceAll("\n"+m[2], "\n"+m[1], "\n") // blocks in lists are indented
			for doc := range strings.SplitSeq(block, "\n---\n") {
				blocks++
				if _, err := yaml.YAMLToJSONStrict([]byte(doc)); err != nil {
					t.Errorf("%s: %v in\n%s", path, err, doc)
					continue
				}
				obj, err := parse([]byte(doc))
				if err != nil || !strings.HasPrefix(obj.GetAPIVersion(), group+"/") {
					continue
				}
				if _, err := s.create(t, s.namespace(t), obj); err != nil {
					t.Errorf("%s: %s %s: %v", path, obj.GetKind(), obj.GetName(), err)
				}
			}
		}
	}
	if blocks == 0 {
		t.Error("no document has an example in YAML")
	}
}
