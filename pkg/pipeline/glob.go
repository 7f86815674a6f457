package pipeline

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// filterMatches says whether a name passes a filter and, when it does not, which part of it decided, in words. A nil filter passes
// everything; exclude wins; an empty include matches every name. A glob that cannot be read matches nothing.
func filterMatches(f *v1alpha1.Filter, name string) (bool, string) {
	if f == nil {
		return true, ""
	}
	for _, glob := range f.Exclude {
		if globMatches(glob, name) {
			return false, fmt.Sprintf("exclude %q matches %q", glob, name)
		}
	}
	if len(f.Include) == 0 {
		return true, ""
	}
	for _, glob := range f.Include {
		if globMatches(glob, name) {
			return true, ""
		}
	}
	return false, fmt.Sprintf("include [%s] does not match %q", strings.Join(f.Include, ", "), name)
}

// pathsMatch says whether one of the changed files passes a filter. Changed files that are not all known pass: a run too many costs
// minutes, a run that is missing costs trust.
func pathsMatch(f *v1alpha1.Filter, paths []string, complete bool) (bool, string) {
	if f == nil || !complete {
		return true, ""
	}
	for _, p := range paths {
		if ok, _ := filterMatches(f, p); ok {
			return true, ""
		}
	}
	return false, fmt.Sprintf("none of %d changed files passes %s", len(paths), describeFilter(f))
}

func globMatches(glob, name string) bool {
	ok, err := doublestar.Match(glob, name)
	return err == nil && ok
}

func describeFilter(f *v1alpha1.Filter) string {
	var parts []string
	if len(f.Include) > 0 {
		parts = append(parts, "include ["+strings.Join(f.Include, ", ")+"]")
	}
	if len(f.Exclude) > 0 {
		parts = append(parts, "exclude ["+strings.Join(f.Exclude, ", ")+"]")
	}
	if len(parts) == 0 {
		return "include []"
	}
	return strings.Join(parts, " ")
}
