package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	yaml "sigs.k8s.io/yaml/goyaml.v3"
)

var directive = regexp.MustCompile(`unknown field "(.*\.)?\$(patch|retainKeys|setElementOrder|deleteFromPrimitiveList)`)

func isDirective(problem error) bool { return directive.MatchString(problem.Error()) }

// podYAML writes the pod for podTemplate. Texts are always quoted: YAML readers do not agree on what a plain scalar is. The one in
// Jenkins takes the short commit id 12e4567 for a number.
func podYAML(pod *corev1.Pod) (string, error) {
	text, err := json.Marshal(pod)
	if err != nil {
		return "", err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		return "", err
	}
	delete(tree, "status")
	if r, bad := unrepresentableIn(tree); bad {
		return "", fmt.Errorf("the agent pod: character %U cannot be passed on", r)
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(yamlNode(tree)); err != nil {
		return "", err
	}
	return out.String(), enc.Close()
}

// unrepresentableIn looks at the texts themselves: in YAML such a character would hide in an escape.
func unrepresentableIn(v any) (rune, bool) {
	switch v := v.(type) {
	case string:
		return unrepresentable(v)
	case []any:
		for _, item := range v {
			if r, bad := unrepresentableIn(item); bad {
				return r, true
			}
		}
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if r, bad := unrepresentable(key); bad {
				return r, true
			}
			if r, bad := unrepresentableIn(v[key]); bad {
				return r, true
			}
		}
	}
	return 0, false
}

// yamlNode drops what is empty, as resources: {} and creationTimestamp: null.
func yamlNode(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range podKeys(v) {
			if isEmpty(key, v[key]) {
				continue
			}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key, Style: keyStyle(key)}, yamlNode(v[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range v {
			n.Content = append(n.Content, yamlNode(item))
		}
		return n
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v, Style: yaml.DoubleQuotedStyle}
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

// isEmpty: an emptyDir that is empty means something, a resources that is does not.
func isEmpty(key string, v any) bool {
	m, isMap := v.(map[string]any)
	return v == nil || isMap && len(m) == 0 && (key == "resources" || key == "metadata")
}

// podKeys are the keys in alphabetical order, but a thing's name first.
func podKeys(m map[string]any) []string {
	keys := sortedKeys(m)
	for i, k := range keys {
		if k == "name" {
			copy(keys[1:i+1], keys[:i])
			keys[0] = k
		}
	}
	return keys
}

var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._/-]*$`)

func keyStyle(key string) yaml.Style {
	if plainKey.MatchString(key) && key != "y" && key != "n" && key != "yes" && key != "no" && key != "on" && key != "off" && key != "true" && key != "false" && key != "null" {
		return 0
	}
	return yaml.DoubleQuotedStyle
}
