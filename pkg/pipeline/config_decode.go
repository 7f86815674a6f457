package pipeline

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	yaml "sigs.k8s.io/yaml/goyaml.v3"
)

// Bounds of a file after its aliases are expanded: a few lines of nested aliases can stand for billions of values.
const (
	maxExpandedValues = 200_000
	maxExpandedBytes  = 4 << 20
	maxMergeDepth     = 16
)

// decoder fills Go values from YAML nodes by the fields' json names. It goes on after a mistake, so that all are found.
type decoder struct {
	errs          ConfigErrors
	pos           map[string]position // of each field that is set: its key, or the item of a list
	values, bytes int
	over          bool // the expanded file is too large or too wrong: nothing more is read
}

func (d *decoder) decode(root *yaml.Node, into *Config) {
	d.pos[""] = position{root.Line, root.Column}
	d.value(root, reflect.ValueOf(into).Elem(), "")
}

func (d *decoder) failf(n *yaml.Node, path, format string, args ...any) {
	// nobody reads on, and a file of commas has a hundred thousand
	d.over = d.over || len(d.errs) >= 10*maxErrors
	d.errs = append(d.errs, ConfigError{Line: n.Line, Column: n.Column, Path: path, Message: fmt.Sprintf(format, args...)})
}

// resolve follows an alias and counts what is met.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.values++
	d.bytes += len(n.Value)
	if !d.over && (d.values > maxExpandedValues || d.bytes > maxExpandedBytes) {
		d.over = true
		d.errs = append(d.errs, ConfigError{Line: n.Line, Column: n.Column, Message: fmt.Sprintf(
			"with its aliases expanded the file has more than %d values or %d bytes", maxExpandedValues, maxExpandedBytes)})
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// nodeKind says in words what a node is.
func nodeKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a map"
	case yaml.SequenceNode:
		return "a list"
	}
	if isNull(n) {
		return "nothing"
	}
	value := n.Value
	if len(value) > 40 {
		value = cut(value, 40) + "…"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + value
	case "!!bool":
		return "the boolean " + value
	}
	return fmt.Sprintf("the text %q", value)
}

var (
	durationType   = reflect.TypeFor[time.Duration]()
	stringListType = reflect.TypeFor[StringList]()
)

func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	n = d.resolve(n)
	if d.over || isNull(n) {
		return // `key:` without a value is a key that is absent
	}
	if n.Style&yaml.TaggedStyle != 0 && n.Tag != "!" && !strings.HasPrefix(n.ShortTag(), "!!") || n.ShortTag() == "!!binary" {
		d.failf(n, path, "tag %s is not supported", n.Tag)
		return
	}
	if shorthand := shorthandOf(v.Type()); shorthand != nil && shorthand(d, n, v, path) {
		return
	}
	switch {
	case v.Type() == durationType:
		d.duration(n, v, path)
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		d.value(n, p.Elem(), path)
		v.Set(p)
	case v.Kind() == reflect.Struct:
		d.structValue(n, v, path)
	case v.Kind() == reflect.Map:
		d.mapValue(n, v, path)
	case v.Kind() == reflect.Slice:
		d.listValue(n, v, path)
	case v.Kind() == reflect.Bool:
		d.boolValue(n, v, path)
	case v.Kind() == reflect.Int:
		d.intValue(n, v, path)
	default:
		d.stringValue(n, v, path)
	}
}

func (d *decoder) stringValue(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode {
		d.failf(n, path, "want text, got %s", nodeKind(n))
		return
	}
	// the text as it is written: `tag: 1.10` is not 1.1, and `switch: yes` is not true
	text := n.Value
	if r, bad := unrepresentable(text); bad {
		d.failf(n, path, "character %U cannot reach a shell, a variable or a name", r)
		return
	}
	if allowed := enumOf(v.Type()); allowed != nil {
		for _, a := range allowed {
			if strings.EqualFold(a, text) {
				v.SetString(a)
				return
			}
		}
		d.failf(n, path, "want one of %s, got %q", strings.Join(allowed, ", "), text)
		return
	}
	v.SetString(text)
}

func (d *decoder) boolValue(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		switch strings.ToLower(n.Value) {
		case "true", "yes", "on": // YAML 1.1, which Rancher read
			v.SetBool(true)
			return
		case "false", "no", "off":
			v.SetBool(false)
			return
		}
	}
	d.failf(n, path, "want true or false, got %s", nodeKind(n))
}

func (d *decoder) intValue(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if i, err := strconv.Atoi(n.Value); err == nil {
			v.SetInt(int64(i))
			return
		}
	}
	d.failf(n, path, "want a whole number, got %s", nodeKind(n))
}

// MaxTimeout is the longest timeout that a config file may ask for.
const MaxTimeout = 7 * 24 * time.Hour

func (d *decoder) duration(n *yaml.Node, v reflect.Value, path string) {
	var t time.Duration
	ok := false
	if n.Kind == yaml.ScalarNode {
		if minutes, err := strconv.Atoi(n.Value); err == nil && minutes >= -1_000_000 && minutes <= 1_000_000 {
			t, ok = time.Duration(minutes)*time.Minute, true
		} else if parsed, err := time.ParseDuration(n.Value); err == nil {
			t, ok = parsed, true
		}
	}
	switch {
	case !ok:
		d.failf(n, path, "want minutes such as 60 or a duration such as 1h30m, got %s", nodeKind(n))
	case t < time.Second || t > MaxTimeout:
		d.failf(n, path, "want a time between 1s and %s, got %s", MaxTimeout, n.Value)
	default:
		v.SetInt(int64(t.Round(time.Second)))
	}
}

func (d *decoder) listValue(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.ScalarNode && v.Type() == stringListType {
		one := n.Value // kept when it is refused: it must not be called empty too
		d.stringValue(n, reflect.ValueOf(&one).Elem(), path)
		v.Set(reflect.ValueOf(StringList{one}))
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.failf(n, path, "want a list, got %s", nodeKind(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if d.over {
			break
		}
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		d.pos[itemPath] = position{item.Line, item.Column}
		if isNull(item) {
			d.failf(item, itemPath, "the item is empty")
			continue
		}
		d.value(item, list.Index(i), itemPath)
	}
	v.Set(list)
}

func (d *decoder) mapValue(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.failf(n, path, "want a map of names to values, got %s", nodeKind(n))
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, e := range d.entries(n, path, 0) {
		if d.over {
			break
		}
		entryPath := join(path, e.key.Value)
		d.pos[entryPath] = position{e.key.Line, e.key.Column}
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, item, entryPath) // null is the empty text, as YAML authors mean by `NAME:`
		m.SetMapIndex(reflect.ValueOf(e.key.Value).Convert(v.Type().Key()), item)
	}
	v.Set(m)
}

func (d *decoder) structValue(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.failf(n, path, "want a map with %s, got %s", strings.Join(fieldNames(v.Type()), ", "), nodeKind(n))
		return
	}
	set := map[string]bool{}
	for _, e := range d.entries(n, path, 0) {
		if d.over {
			return
		}
		field, ok := fieldByName(v.Type(), e.key.Value)
		if !ok {
			d.failf(e.key, join(path, e.key.Value), "unknown field%s", suggest(e.key.Value, fieldNames(v.Type())))
			continue
		}
		fieldPath := join(path, e.key.Value)
		d.pos[fieldPath] = position{e.key.Line, e.key.Column}
		set[e.key.Value] = !isNull(e.value)
		d.value(e.value, v.FieldByIndex(field.Index), fieldPath)
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if name := fieldName(f); f.Tag.Get("config") == "required" && !set[name] {
			d.failf(n, path, "%s is required", name)
		}
	}
}

type entry struct{ key, value *yaml.Node }

// entries returns the pairs of a map with its `<<` merged in. Keys of the map itself win over merged ones, and earlier merges over
// later ones; a key that is written twice in one map is a mistake.
func (d *decoder) entries(n *yaml.Node, path string, depth int) []entry {
	var own, merged []entry
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content) && !d.over; i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		d.values++
		if key.Kind != yaml.ScalarNode {
			d.failf(key, path, "want a name as key, got %s", nodeKind(d.resolve(key)))
			continue
		}
		if key.Tag == "!!merge" {
			merged = append(merged, d.merge(value, path, depth+1)...)
			continue
		}
		if first := seen[key.Value]; first != nil {
			d.failf(key, join(path, key.Value), "the key is here twice; first in line %d", first.Line)
			continue
		}
		if r, bad := unrepresentable(key.Value); bad {
			d.failf(key, path, "character %U cannot be in a name", r)
			continue
		}
		seen[key.Value] = key
		own = append(own, entry{key, value})
	}
	for _, e := range merged {
		if seen[e.key.Value] == nil {
			seen[e.key.Value] = e.key
			own = append(own, e)
		}
	}
	return own
}

func (d *decoder) merge(n *yaml.Node, path string, depth int) []entry {
	n = d.resolve(n)
	if d.over {
		return nil
	}
	if depth > maxMergeDepth {
		d.failf(n, path, "merges (<<) are nested more than %d deep", maxMergeDepth)
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.entries(n, path, depth)
	case yaml.SequenceNode:
		var all []entry
		for _, item := range n.Content {
			if item = d.resolve(item); item.Kind != yaml.MappingNode {
				d.failf(item, path, "want a map to merge, got %s", nodeKind(item))
				continue
			}
			all = append(all, d.merge(item, path, depth+1)...)
		}
		return all
	}
	d.failf(n, path, "want a map to merge, got %s", nodeKind(n))
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func fieldNames(t reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if name := fieldName(f); name != "" {
			names = append(names, name)
		}
	}
	return names
}

func fieldByName(t reflect.Type, name string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if name != "" && fieldName(f) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
