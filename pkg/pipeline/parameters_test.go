package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestResolveParameters(t *testing.T) {
	choice := v1alpha1.ParameterSpec{Name: "target", Type: v1alpha1.ParameterChoice, Choices: []string{"dev", "prod"}}
	cases := map[string]struct {
		declared []v1alpha1.ParameterSpec
		given    []v1alpha1.Parameter
		want     []ResolvedParameter
		wantErr  string
	}{
		"takes what is given over the default": {
			[]v1alpha1.ParameterSpec{{Name: "a", Default: new("x")}}, []v1alpha1.Parameter{{Name: "a", Value: "y"}}, []ResolvedParameter{{Name: "a", Type: "String", Value: "y"}}, "",
		},
		"takes the default":                  {[]v1alpha1.ParameterSpec{{Name: "a", Default: new("x")}}, nil, []ResolvedParameter{{Name: "a", Type: "String", Value: "x"}}, ""},
		"takes the first choice":             {[]v1alpha1.ParameterSpec{choice}, nil, []ResolvedParameter{{Name: "target", Type: "Choice", Value: "dev"}}, ""},
		"takes the empty text at last":       {[]v1alpha1.ParameterSpec{{Name: "a", Type: "Number"}}, nil, []ResolvedParameter{{Name: "a", Type: "Number"}}, ""},
		"leaves a Secret without value out":  {[]v1alpha1.ParameterSpec{{Name: "a", Type: "Secret"}}, nil, nil, ""},
		"names the Secret of a Secret value": {[]v1alpha1.ParameterSpec{{Name: "a", Type: "Secret"}}, []v1alpha1.Parameter{{Name: "a", Value: "s/k"}}, []ResolvedParameter{{Name: "a", Type: "Secret", Secret: &v1alpha1.SecretKeyReference{Name: "s", Key: "k"}}}, ""},
		"lets the later declaration win in the earlier's place": {
			[]v1alpha1.ParameterSpec{{Name: "a", Default: new("1")}, {Name: "b"}, {Name: "a", Type: "Boolean", Default: new("TRUE")}}, nil,
			[]ResolvedParameter{{Name: "a", Type: "Boolean", Value: "true"}, {Name: "b", Type: "String"}}, "",
		},
		"refuses every value that does not fit": {
			[]v1alpha1.ParameterSpec{choice, {Name: "n", Type: "Number"}, {Name: "b", Type: "Boolean"}, {Name: "s", Type: "Secret"}, {Name: "r", Required: true}, {Name: "x"}},
			[]v1alpha1.Parameter{{Name: "target", Value: "test"}, {Name: "n", Value: "0x1"}, {Name: "b", Value: "yes"}, {Name: "s", Value: "plain"}, {Name: "taget", Value: ""}, {Name: "x", Value: "a\x00"}, {Name: "x", Value: "a"}},
			nil,
			`parameter taget is not declared, did you mean "target"?
parameter x is given twice
parameter target: want one of [dev, prod], got "test"
parameter n: want a number, got "0x1"
parameter b: want true or false, got "yes"
parameter s: want name/key of a Secret, got "plain"
parameter r is required and was not given`,
		},
		"takes numbers as they are written": {
			[]v1alpha1.ParameterSpec{{Name: "n", Type: "Number"}}, []v1alpha1.Parameter{{Name: "n", Value: "-1.50e3"}}, []ResolvedParameter{{Name: "n", Type: "Number", Value: "-1.50e3"}}, "",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := ResolveParameters(c.declared, c.given)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(c.wantErr, text); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
		})
	}
}
