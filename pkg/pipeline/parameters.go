package pipeline

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// ResolvedParameter is the value that a parameter has in a run.
type ResolvedParameter struct {
	// Name of the variable that steps see.
	Name string
	// Type that was declared.
	Type v1alpha1.ParameterType
	// Value in text form. Empty for a Secret parameter.
	Value string
	// Secret is where the value of a Secret parameter lies.
	Secret *v1alpha1.SecretKeyReference
}

// DeclaredParameters are the parameters that a run of a pipeline with this config may be given: the Pipeline's, then the config
// file's, whose declaration wins on the same name. Either may be nil.
func DeclaredParameters(p *v1alpha1.Pipeline, c *Config) []v1alpha1.ParameterSpec {
	var all []v1alpha1.ParameterSpec
	if p != nil {
		all = append(all, p.Spec.Parameters...)
	}
	if c != nil {
		all = append(all, c.Parameters...)
	}
	return lastOfEachName(all)
}

// lastOfEachName keeps each name's first place and its last declaration.
func lastOfEachName(all []v1alpha1.ParameterSpec) []v1alpha1.ParameterSpec {
	var out []v1alpha1.ParameterSpec
	for _, spec := range all {
		if i := slices.IndexFunc(out, func(o v1alpha1.ParameterSpec) bool { return o.Name == spec.Name }); i >= 0 {
			out[i] = spec
			continue
		}
		out = append(out, spec)
	}
	return out
}

// ResolveParameters gives each declared parameter its value: the one that was given, else its default, else the first of its choices,
// else the empty text (a Secret parameter without a value is left out). Of two declarations with the same name the later wins. The
// error joins one error for each value that does not fit and for each name that nobody declared.
func ResolveParameters(declared []v1alpha1.ParameterSpec, given []v1alpha1.Parameter) ([]ResolvedParameter, error) {
	declared = lastOfEachName(declared)
	names := make([]string, len(declared))
	for i, spec := range declared {
		names[i] = spec.Name
	}
	values := map[string]string{}
	var errs []error
	for _, g := range given {
		switch _, twice := values[g.Name]; {
		case !slices.Contains(names, g.Name):
			errs = append(errs, fmt.Errorf("parameter %s is not declared%s", g.Name, suggest(g.Name, names)))
		case twice:
			errs = append(errs, fmt.Errorf("parameter %s is given twice", g.Name))
		}
		values[g.Name] = g.Value
	}
	var out []ResolvedParameter
	for _, spec := range declared {
		value, ok := values[spec.Name]
		r, keep, err := resolveParameter(spec, value, ok)
		if err != nil {
			errs = append(errs, err)
		}
		if keep {
			out = append(out, r)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return out, nil
}

func resolveParameter(spec v1alpha1.ParameterSpec, value string, given bool) (r ResolvedParameter, keep bool, err error) {
	r = ResolvedParameter{Name: spec.Name, Type: parameterType(spec)}
	if !given {
		switch {
		case spec.Default != nil:
			value = *spec.Default
		case spec.Required:
			return r, false, fmt.Errorf("parameter %s is required and was not given", spec.Name)
		case r.Type == v1alpha1.ParameterChoice && len(spec.Choices) > 0:
			value = spec.Choices[0]
		default:
			return r, r.Type != v1alpha1.ParameterSecret, nil
		}
	}
	r.Value, r.Secret, err = checkParameter(spec, value)
	if err != nil {
		return r, false, fmt.Errorf("parameter %s: %w", spec.Name, err)
	}
	return r, true, nil
}

func parameterType(spec v1alpha1.ParameterSpec) v1alpha1.ParameterType {
	if spec.Type == "" {
		return v1alpha1.ParameterString
	}
	return spec.Type
}

// number is a decimal number, kept as it is written.
var number = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// checkParameter returns the value in its normal form, or says what was wanted.
func checkParameter(spec v1alpha1.ParameterSpec, value string) (string, *v1alpha1.SecretKeyReference, error) {
	if r, bad := unrepresentable(value); bad {
		return "", nil, fmt.Errorf("character %U cannot be in a variable", r)
	}
	if t := parameterType(spec); len(spec.Choices) > 0 && t != v1alpha1.ParameterSecret && !slices.Contains(spec.Choices, value) {
		return "", nil, fmt.Errorf("want one of [%s], got %q", strings.Join(spec.Choices, ", "), value)
	}
	switch parameterType(spec) {
	case v1alpha1.ParameterBoolean:
		switch strings.ToLower(value) {
		case "true":
			return "true", nil, nil
		case "false":
			return "false", nil, nil
		}
		return "", nil, fmt.Errorf("want true or false, got %q", value)
	case v1alpha1.ParameterNumber:
		if !number.MatchString(value) {
			return "", nil, fmt.Errorf("want a number, got %q", value)
		}
	case v1alpha1.ParameterSecret:
		name, key, found := strings.Cut(value, "/")
		if !found || len(validation.IsDNS1123Subdomain(name)) > 0 || len(validation.IsConfigMapKey(key)) > 0 {
			return "", nil, fmt.Errorf("want name/key of a Secret, got %q", value)
		}
		return "", &v1alpha1.SecretKeyReference{Name: name, Key: key}, nil
	}
	return value, nil, nil
}
