package pipeline

import "github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"

func presetPaths(p v1alpha1.CachePreset) []string { return nil }
