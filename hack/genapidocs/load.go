package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

type crd = apiextensionsv1.CustomResourceDefinition

// order is that in which one meets the kinds.
var order = []string{
	"SourceCodeProvider", "SourceCodeCredential", "SourceCodeRepository",
	"Pipeline", "PipelineExecution", "PipelineSetting",
}

// load reads the CustomResourceDefinitions of a folder, in that order.
func load(dir string) ([]crd, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "kubectl-pipeline.io_*.yaml"))
	if err != nil {
		return nil, err
	}
	var crds []crd
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var c crd
		if err := yaml.UnmarshalStrict(text, &c); err != nil {
			return nil, fmt.Errorf("parse %s: %w", path, err)
		}
		if len(c.Spec.Versions) != 1 || !slices.Contains(order, c.Spec.Names.Kind) {
			return nil, fmt.Errorf("read %s: kind %s with %d versions, want one of %v with one", path, c.Spec.Names.Kind, len(c.Spec.Versions), order)
		}
		crds = append(crds, c)
	}
	if len(crds) != len(order) {
		return nil, fmt.Errorf("found %d kinds in %s, want %d", len(crds), dir, len(order))
	}
	slices.SortFunc(crds, func(a, b crd) int {
		return slices.Index(order, a.Spec.Names.Kind) - slices.Index(order, b.Spec.Names.Kind)
	})
	return crds, nil
}
