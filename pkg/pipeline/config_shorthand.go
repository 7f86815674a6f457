package pipeline

import (
	"reflect"

	yaml "sigs.k8s.io/yaml/goyaml.v3"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// shorthand fills v from a short form and says whether it did; when it did not, the value is read in its long form.
type shorthand func(d *decoder, n *yaml.Node, v reflect.Value, path string) bool

// shorthandOf is the table of short forms.
func shorthandOf(t reflect.Type) shorthand {
	switch t {
	case reflect.TypeFor[v1alpha1.Filter]():
		return filterShorthand // branch: main, branch: [main, "release/**"]
	case reflect.TypeFor[CacheConfig]():
		return cacheShorthand // cache: false
	}
	return nil
}

func filterShorthand(d *decoder, n *yaml.Node, v reflect.Value, path string) bool {
	var f v1alpha1.Filter
	include := reflect.ValueOf(&f.Include).Elem()
	switch n.Kind {
	case yaml.ScalarNode:
		f.Include = make([]string, 1)
		d.pos[path+".include[0]"] = position{n.Line, n.Column}
		d.stringValue(n, include.Index(0), path)
	case yaml.SequenceNode:
		d.listValue(n, include, path)
		for i, item := range n.Content {
			d.pos[elem(path+".include", i)] = position{item.Line, item.Column}
		}
	default:
		// include and exclude may be one string each, as Rancher read them
		if n.Kind != yaml.MappingNode {
			return false
		}
		return d.filterMap(n, v, path)
	}
	v.Set(reflect.ValueOf(f))
	return true
}

func (d *decoder) filterMap(n *yaml.Node, v reflect.Value, path string) bool {
	var f struct {
		Include StringList `json:"include"`
		Exclude StringList `json:"exclude"`
	}
	d.structValue(n, reflect.ValueOf(&f).Elem(), path)
	for _, name := range []string{"include", "exclude"} {
		if _, item := d.pos[path+"."+name+"[0]"]; !item {
			d.pos[path+"."+name+"[0]"] = d.pos[path+"."+name]
		}
	}
	v.Set(reflect.ValueOf(v1alpha1.Filter{Include: f.Include, Exclude: f.Exclude}))
	return true
}

func cacheShorthand(d *decoder, n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	enabled := false
	d.boolValue(n, reflect.ValueOf(&enabled).Elem(), path)
	v.Set(reflect.ValueOf(CacheConfig{Enabled: &enabled}))
	return true
}

// enumOf lists the values of a closed set, as they are spelled here; a file may write them in any case.
func enumOf(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[v1alpha1.ParameterType]():
		return []string{"String", "Boolean", "Choice", "Number", "Secret"}
	case reflect.TypeFor[v1alpha1.CachePreset]():
		return []string{"go", "npm", "pnpm", "maven", "gradle", "pip", "cargo", "ccache", "git", "buildkit"}
	case reflect.TypeFor[v1alpha1.CacheMode]():
		return []string{"Shared", "Locked", "Snapshot"}
	case reflect.TypeFor[v1alpha1.CacheScope]():
		return []string{"Pipeline", "Project"}
	}
	return nil
}
