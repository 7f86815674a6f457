package pipeline

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestSchema: the published schema takes what the parser takes, and refuses typing mistakes as it does.
func TestSchema(t *testing.T) {
	text, err := os.ReadFile("../../docs/config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	const tail = "\nstages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}}]}]\n"
	valid := map[string]string{
		"short forms":   "cache: false\nbranch: main\ntimeout: 1h30m" + tail,
		"lists":         "cache: {preset: GO}\nbranch: [a, b]\ntimeout: 5" + tail,
		"maps":          "branch: {include: a, exclude: [b]}\nenv: {A: 1, B: true, C: x, D: }" + tail,
		"types by case": "parameters: [{name: a, type: choice, choices: [1, b]}, {name: b, type: Boolean, default: false}]" + tail,
	}
	for _, file := range []string{"config/rancher.yml", "config/unsupported.yml", "compile/full.yml", "compile/minimal.yml"} {
		valid[file] = readTestdata(t, file)
	}
	for name, text := range valid {
		t.Run("takes "+name, func(t *testing.T) {
			if _, err := ParseConfig(text); err != nil {
				t.Errorf("the parser refuses it: %v", err)
			}
			if why := checkSchema(schema, schema, toJSON(t, text), "$"); why != "" {
				t.Errorf("the schema refuses it: %s", why)
			}
		})
	}
	for name, text := range map[string]string{
		"an unknown field":        "stage: []" + tail,
		"an unknown nested field": "stages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s, shell: bash}}]}]",
		"no stages":               "timeout: 5",
		"no name":                 "stages: [{steps: [{runScriptConfig: {image: i, shellScript: s}}]}]",
		"two things in a step":    "stages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}, applyYamlConfig: {path: p}}]}]",
		"nothing in a step":       "stages: [{name: a, steps: [{name: x}]}]",
		"a wrong type":            "stages: [{name: a, steps: [{runScriptConfig: {image: i, shellScript: s}, retry: often}]}]",
		"an unknown preset":       "cache: {preset: gopher}" + tail,
		"a timeout of words":      "timeout: soon" + tail,
		"a filter of numbers":     "branch: {include: {a: b}}" + tail,
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			if _, err := ParseConfig(text); err == nil {
				t.Error("the parser takes it")
			}
			if checkSchema(schema, schema, toJSON(t, text), "$") == "" {
				t.Error("the schema takes it")
			}
		})
	}
}

func toJSON(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// checkSchema knows the part of JSON schema that is generated, and refuses the rest, so that no keyword goes unchecked.
func checkSchema(root, s map[string]any, v any, at string) string {
	for _, key := range sortedKeys(s) {
		if why := checkKeyword(root, s, key, v, at); why != "" {
			return why
		}
	}
	return ""
}

func checkKeyword(root, s map[string]any, key string, v any, at string) string {
	object, _ := v.(map[string]any)
	switch key {
	case "$schema", "$id", "$defs", "title", "description":
	case "$ref":
		name := strings.TrimPrefix(s[key].(string), "#/$defs/")
		return checkSchema(root, root["$defs"].(map[string]any)[name].(map[string]any), v, at)
	case "type":
		types, ok := s[key].([]any)
		if !ok {
			types = []any{s[key]}
		}
		if !slices.ContainsFunc(types, func(typ any) bool { return hasType(v, typ.(string)) }) {
			return fmt.Sprintf("%s: want %v, got %T", at, types, v)
		}
	case "enum":
		if !slices.Contains(s[key].([]any), v) {
			return fmt.Sprintf("%s: %v is not one of %v", at, v, s[key])
		}
	case "pattern":
		if text, ok := v.(string); ok && !regexp.MustCompile(s[key].(string)).MatchString(text) {
			return fmt.Sprintf("%s: %q does not match %s", at, text, s[key])
		}
	case "minimum":
		if n, ok := v.(float64); ok && n < s[key].(float64) {
			return fmt.Sprintf("%s: %v is less than %v", at, n, s[key])
		}
	case "maximum":
		if n, ok := v.(float64); ok && n > s[key].(float64) {
			return fmt.Sprintf("%s: %v is more than %v", at, n, s[key])
		}
	case "items":
		list, _ := v.([]any)
		for i, item := range list {
			if why := checkSchema(root, s[key].(map[string]any), item, fmt.Sprintf("%s[%d]", at, i)); why != "" {
				return why
			}
		}
	case "required":
		for _, name := range s[key].([]any) {
			if _, ok := object[name.(string)]; !ok {
				return fmt.Sprintf("%s: no %s", at, name)
			}
		}
	case "properties":
		for _, name := range sortedKeys(object) {
			if p, ok := s[key].(map[string]any)[name]; ok {
				if why := checkSchema(root, p.(map[string]any), object[name], at+"."+name); why != "" {
					return why
				}
			}
		}
	case "additionalProperties":
		known, _ := s["properties"].(map[string]any)
		for _, name := range sortedKeys(object) {
			if known[name] != nil {
				continue
			}
			if s[key] == false {
				return fmt.Sprintf("%s: unknown %s", at, name)
			}
			if why := checkSchema(root, s[key].(map[string]any), object[name], at+"."+name); why != "" {
				return why
			}
		}
	case "anyOf", "oneOf":
		matches, whys := 0, []string{}
		for _, one := range s[key].([]any) {
			if why := checkSchema(root, one.(map[string]any), v, at); why != "" {
				whys = append(whys, why)
				continue
			}
			matches++
		}
		if matches == 0 || key == "oneOf" && matches > 1 {
			return fmt.Sprintf("%s: %d of %s match: %s", at, matches, key, strings.Join(whys, "; "))
		}
	default:
		return fmt.Sprintf("%s: the test does not know the keyword %s", at, key)
	}
	return ""
}

func hasType(v any, typ string) bool {
	switch v := v.(type) {
	case nil:
		return typ == "null"
	case string:
		return typ == "string"
	case bool:
		return typ == "boolean"
	case float64:
		return typ == "number" || typ == "integer" && v == math.Trunc(v)
	case []any:
		return typ == "array"
	case map[string]any:
		return typ == "object"
	}
	return false
}
