package pipeline

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Directives of a strategic merge patch
// (https://github.com/kubernetes/community/blob/main/contributors/devel/sig-api-machinery/strategic-merge-patch.md).
const (
	directivePatch      = "$patch"
	directiveRetainKeys = "$retainKeys"
)

// strategicMerge merges a patch into a JSON object as Kubernetes does: maps by key, where null removes one; lists by the merge key that
// the Go type t declares for them, else as a whole. It is apimachinery's strategicpatch without what comes with that: 2 MiB of OpenAPI
// and protobuf in every program. Of its directives it knows $patch and $retainKeys, which people write; $setElementOrder and
// $deleteFromPrimitiveList, which kubectl computes, are errors. New elements of a list come last. original is changed.
func strategicMerge(original, patch map[string]any, t reflect.Type) (map[string]any, error) {
	if directive, ok := patch[directivePatch]; ok {
		switch directive {
		case "replace":
			return mergeWithoutDirective(map[string]any{}, patch, t, directivePatch)
		case "delete":
			return map[string]any{}, nil
		}
		return nil, fmt.Errorf("%s is %v, want replace or delete", directivePatch, directive)
	}
	if keep, ok := patch[directiveRetainKeys]; ok {
		list, ok := keep.([]any)
		if !ok {
			return nil, fmt.Errorf("%s is %v, want a list of fields", directiveRetainKeys, keep)
		}
		for k, v := range patch {
			if v != nil && k != directiveRetainKeys && !slices.Contains(list, any(k)) {
				return nil, fmt.Errorf("%s does not list %q, which the patch sets", directiveRetainKeys, k)
			}
		}
		for k := range original {
			if !slices.Contains(list, any(k)) {
				delete(original, k)
			}
		}
		return mergeWithoutDirective(original, patch, t, directiveRetainKeys)
	}
	return mergeWithoutDirective(original, patch, t, "")
}

func mergeWithoutDirective(original, patch map[string]any, t reflect.Type, directive string) (map[string]any, error) {
	for k, v := range patch {
		switch {
		case k == directive && directive != "":
			continue
		case strings.HasPrefix(k, "$"):
			return nil, fmt.Errorf("the directive %s is not supported here", k)
		case v == nil:
			delete(original, k)
			continue
		}
		field := patchFieldOf(t, k)
		var err error
		switch v := v.(type) {
		case map[string]any:
			old, ok := original[k].(map[string]any)
			if !ok {
				old = map[string]any{}
			}
			original[k], err = strategicMerge(old, v, field.element)
		case []any:
			old, _ := original[k].([]any)
			original[k], err = field.mergeList(old, v)
		default:
			original[k] = v
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return original, nil
}

// patchField is what a Go type says of merging one of its fields.
type patchField struct {
	element reflect.Type // of the map or of the list's elements; nil when it is not known
	merge   bool         // lists are merged, not replaced
	key     string       // tells elements of a merged list apart; empty for lists of scalars
}

// patchFieldOf looks a field up by its JSON name.
func patchFieldOf(t reflect.Type, name string) patchField {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil {
		return patchField{}
	}
	if t.Kind() == reflect.Map {
		return patchField{element: t.Elem()}
	}
	if t.Kind() != reflect.Struct {
		return patchField{}
	}
	for f := range t.Fields() {
		json, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if json == "" && (f.Anonymous || options == "inline") {
			if found := patchFieldOf(f.Type, name); found.element != nil {
				return found
			}
		}
		if json != name {
			continue
		}
		out := patchField{element: f.Type, merge: slices.Contains(strings.Split(f.Tag.Get("patchStrategy"), ","), "merge"), key: f.Tag.Get("patchMergeKey")}
		if f.Type.Kind() == reflect.Slice {
			out.element = f.Type.Elem()
		}
		return out
	}
	return patchField{}
}

func (f patchField) mergeList(old, patch []any) ([]any, error) {
	if !f.merge {
		return f.cleanList(patch)
	}
	out := slices.Clone(old)
	var fresh []any
	for _, item := range patch {
		m, ok := item.(map[string]any)
		if !ok {
			if !slices.Contains(out, item) {
				out = append(out, item)
			}
			continue
		}
		switch directive, ok := m[directivePatch]; {
		case !ok:
			fresh = append(fresh, m)
		case directive == "replace": // an element of its own: the others are all there is
			out = nil
		case directive == "delete":
			if m[f.key] == nil {
				return nil, fmt.Errorf("an element with %s: delete needs %s", directivePatch, f.key)
			}
			out = slices.DeleteFunc(out, func(o any) bool { return f.same(o, m) })
		default:
			return nil, fmt.Errorf("%s is %v, want replace or delete", directivePatch, directive)
		}
	}
	for _, item := range fresh {
		m := item.(map[string]any)
		if m[f.key] == nil {
			return nil, fmt.Errorf("an element has no %s, by which the list is merged", f.key)
		}
		i := slices.IndexFunc(out, func(o any) bool { return f.same(o, m) })
		base := map[string]any{}
		if i >= 0 {
			base = out[i].(map[string]any)
		}
		merged, err := strategicMerge(base, m, f.element)
		if err != nil {
			return nil, fmt.Errorf("%s %v: %w", f.key, m[f.key], err)
		}
		if i >= 0 {
			out[i] = merged
		} else {
			out = append(out, merged)
		}
	}
	return out, nil
}

func (f patchField) same(a any, b map[string]any) bool {
	m, ok := a.(map[string]any)
	return ok && reflect.DeepEqual(m[f.key], b[f.key])
}

// cleanList takes nulls and directives out of a list that is not merged.
func (f patchField) cleanList(list []any) ([]any, error) {
	out := make([]any, len(list))
	for i, item := range list {
		out[i] = item
		if m, ok := item.(map[string]any); ok {
			var err error
			if out[i], err = strategicMerge(map[string]any{}, m, f.element); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
