package pipeline

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// This file describes the config file's Go types to the generator of docs/config.md and docs/config.schema.json (hack/gendocs), so that
// the reference, the schema and the parser cannot disagree on a name, a short form or a closed set of values.

// SchemaField is a field of a config file's type.
type SchemaField struct {
	// Name in the file, and the Go field that holds it.
	Name, GoName string
	Type         reflect.Type
	Required     bool
}

// SchemaTypes are the structs of a config file, outermost first, each once.
func SchemaTypes() []reflect.Type {
	var types []reflect.Type
	seen := map[reflect.Type]bool{}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || seen[t] {
			return
		}
		seen[t] = true
		types = append(types, t)
		for _, f := range SchemaFields(t) {
			visit(f.Type)
		}
	}
	visit(reflect.TypeFor[Config]())
	return types
}

// SchemaFields are the fields of one of SchemaTypes, in the order of the Go type.
func SchemaFields(t reflect.Type) []SchemaField {
	var out []SchemaField
	for _, f := range reflect.VisibleFields(t) {
		if name := fieldName(f); name != "" {
			field := SchemaField{Name: name, GoName: f.Name, Type: f.Type, Required: isRequired(t, f)}
			if t == reflect.TypeFor[v1alpha1.Filter]() {
				field.Type = stringListType // include: main
			}
			out = append(out, field)
		}
	}
	return out
}

// isRequired: types of the API carry no config tags; the parser demands the names of theirs.
func isRequired(t reflect.Type, f reflect.StructField) bool {
	named := t == reflect.TypeFor[v1alpha1.ParameterSpec]() || t == reflect.TypeFor[v1alpha1.CacheEntry]()
	return f.Tag.Get("config") == "required" || named && f.Name == "Name"
}

// SchemaText says in words what a type takes, for people; structs are links to their section.
func SchemaText(t reflect.Type) string {
	switch {
	case t == durationType:
		return "minutes or duration"
	case t == stringListType:
		return "text or list of text"
	case enumOf(t) != nil:
		return "`" + strings.Join(enumOf(t), "`, `") + "`"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return SchemaText(t.Elem())
	case reflect.Slice:
		return "list of " + SchemaText(t.Elem())
	case reflect.Map:
		return "map of names to " + SchemaText(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "whole number"
	case reflect.Struct:
		link := fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
		switch t {
		case reflect.TypeFor[v1alpha1.Filter]():
			return "text, list of text or " + link
		case reflect.TypeFor[CacheConfig]():
			return "boolean or " + link
		}
		return link
	}
	return "text"
}

// SchemaOf is the JSON schema of a value. Structs are references to #/$defs/<name>.
func SchemaOf(t reflect.Type) map[string]any {
	switch {
	case t == durationType:
		return anyOf(
			map[string]any{"type": "integer", "minimum": 1, "maximum": int(MaxTimeout.Minutes())},
			map[string]any{"type": "string", "pattern": `^[0-9]+$|^([0-9]+(\.[0-9]+)?(h|m|s))+$`})
	case t == stringListType:
		return anyOf(text(), list(text()))
	case enumOf(t) != nil:
		return anyOf(map[string]any{"enum": enumOf(t)}, map[string]any{"type": "string", "pattern": anyCase(enumOf(t))})
	}
	switch t.Kind() {
	case reflect.Pointer:
		return SchemaOf(t.Elem())
	case reflect.Slice:
		return list(SchemaOf(t.Elem()))
	case reflect.Map:
		// a name without a value is the empty text
		return map[string]any{"type": "object", "additionalProperties": map[string]any{"type": []string{"string", "number", "boolean", "null"}}}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Struct:
		ref := map[string]any{"$ref": "#/$defs/" + t.Name()}
		switch t {
		case reflect.TypeFor[v1alpha1.Filter]():
			return anyOf(text(), list(text()), ref)
		case reflect.TypeFor[CacheConfig]():
			return anyOf(map[string]any{"type": "boolean"}, ref)
		}
		return ref
	}
	return text()
}

// SchemaRules are what a struct demands beyond its fields.
func SchemaRules(t reflect.Type) map[string]any {
	if t != reflect.TypeFor[Step]() {
		return nil
	}
	var one []any
	for _, field := range stepTypeFields() {
		one = append(one, map[string]any{"required": []string{field}})
	}
	return map[string]any{"oneOf": one}
}

// text: numbers and booleans are taken as they are written.
func text() map[string]any { return map[string]any{"type": []string{"string", "number", "boolean"}} }

func list(items map[string]any) map[string]any {
	return map[string]any{"type": "array", "items": items}
}

func anyOf(schemas ...map[string]any) map[string]any { return map[string]any{"anyOf": schemas} }

// anyCase is a pattern of the words in any case: JSON schema has no flag for it.
func anyCase(words []string) string {
	var b strings.Builder
	b.WriteString("^(")
	for i, w := range words {
		if i > 0 {
			b.WriteByte('|')
		}
		for _, r := range w {
			fmt.Fprintf(&b, "[%c%c]", unicode.ToUpper(r), unicode.ToLower(r))
		}
	}
	b.WriteString(")$")
	return b.String()
}
