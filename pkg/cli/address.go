package cli

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// address is what a person types for a pipeline or a run:
//
//	app           a pipeline, or a run by its name
//	pipeline/app  a pipeline
//	run/app-x7k2p a run by its name
//	app#12        the run of a pipeline by its number
//	app@latest    the newest run of a pipeline
//	@latest       the newest run of the namespace
type address struct {
	kind   addressKind
	name   string // of the pipeline or of the run; empty for @latest
	number int64
}

type addressKind int

const (
	addressName addressKind = iota
	addressPipeline
	addressRun
	addressNumber
	addressLatest
)

// addressHelp is the part of a verb's help that says how runs are named.
const addressHelp = `A RUN is the name of a PipelineExecution, PIPELINE#NUMBER, PIPELINE@latest, or
@latest for the newest run of the namespace.`

func parseAddress(s string) (address, error) {
	bad := func() (address, error) {
		return address{}, hinted(fmt.Errorf("cannot read %q as the name of a pipeline or a run", s),
			"wanted NAME, pipeline/NAME, run/NAME, PIPELINE#NUMBER, PIPELINE@latest or @latest")
	}
	if kind, name, ok := strings.Cut(s, "/"); ok {
		switch kind {
		case "pipeline", "pipelines", "pl", "pipeline." + v1alpha1.GroupName, "pipelines." + v1alpha1.GroupName:
			a, err := parseAddress(name)
			if err == nil && a.kind == addressName {
				a.kind = addressPipeline
			}
			return a, err
		case "run", "runs", "pipelineexecution", "pipelineexecutions", "pe",
			"pipelineexecution." + v1alpha1.GroupName, "pipelineexecutions." + v1alpha1.GroupName:
			if !isName(name) {
				return bad()
			}
			return address{kind: addressRun, name: name}, nil
		}
		return bad()
	}
	if name, number, ok := strings.Cut(s, "#"); ok {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 1 || !isName(name) {
			return bad()
		}
		return address{kind: addressNumber, name: name, number: n}, nil
	}
	if name, word, ok := strings.Cut(s, "@"); ok {
		if word != "latest" || name != "" && !isName(name) {
			return bad()
		}
		return address{kind: addressLatest, name: name}, nil
	}
	if !isName(s) {
		return bad()
	}
	return address{kind: addressName, name: s}, nil
}

// isName tells whether s may be an object's name: the API server has the last word, but
// nothing that would change a request's path may reach it.
func isName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return s[0] != '.' && s[0] != '-'
}

// runOf finds the run that s addresses. A bare NAME that is a pipeline stands for its
// newest run where that does no harm (reading); a verb that changes runs sets exact.
func (p *project) runOf(ctx context.Context, s string, exact bool) (executionObject, error) {
	addr, err := parseAddress(s)
	if err != nil {
		return executionObject{}, err
	}
	switch addr.kind {
	case addressNumber:
		return p.runByNumber(ctx, addr.name, addr.number)
	case addressLatest:
		return p.latestRun(ctx, addr.name)
	case addressPipeline:
		if exact {
			return executionObject{}, hinted(fmt.Errorf("%s is a pipeline, not a run", s), "its newest run is "+addr.name+"@latest")
		}
		return p.latestRun(ctx, addr.name)
	}
	run, err := get[v1alpha1.PipelineExecution](ctx, p, executionsResource, addr.name)
	if !apierrors.IsNotFound(err) || isNoSuchResource(err) || addr.kind == addressRun {
		return run, err
	}
	// Not a run. Its pipeline's newest, then.
	latest, lerr := p.latestRun(ctx, addr.name)
	if lerr != nil {
		return executionObject{}, lerr
	}
	if exact {
		return executionObject{}, hinted(fmt.Errorf("%s is a pipeline, not a run", s),
			fmt.Sprintf("its newest run is %s, also called %s@latest", title(latest.v), addr.name))
	}
	return latest, nil
}

func (p *project) runByNumber(ctx context.Context, pipeline string, number int64) (executionObject, error) {
	runs, err := p.runs(ctx, pipeline, selection{})
	if err != nil {
		return executionObject{}, err
	}
	for _, r := range runs {
		if r.v.Spec.Run == number {
			return r, nil
		}
	}
	err = fmt.Errorf("pipeline %q has no run #%d", pipeline, number)
	if len(runs) == 0 {
		return executionObject{}, p.noRuns(ctx, pipeline)
	}
	return executionObject{}, hinted(err, "kubectl pipeline runs "+pipeline)
}

func (p *project) latestRun(ctx context.Context, pipeline string) (executionObject, error) {
	runs, err := p.runs(ctx, pipeline, selection{})
	if err != nil {
		return executionObject{}, err
	}
	if len(runs) == 0 {
		return executionObject{}, p.noRuns(ctx, pipeline)
	}
	return runs[0], nil
}

// noRuns explains why nothing was found under a pipeline's name.
func (p *project) noRuns(ctx context.Context, pipeline string) error {
	if pipeline == "" {
		return hinted(fmt.Errorf("namespace %q has no runs", p.namespace), "kubectl pipeline run PIPELINE starts one")
	}
	if _, err := p.pipeline(ctx, pipeline); err != nil {
		if apierrors.IsNotFound(err) {
			h := hintOf(err)
			return hinted(fmt.Errorf("namespace %q has no run and no pipeline %q", p.namespace, pipeline), h)
		}
		return err
	}
	return hinted(fmt.Errorf("pipeline %q has no runs", pipeline), "kubectl pipeline run "+pipeline+" starts one")
}

// runs lists the runs of a pipeline ("" for all), newest first.
func (p *project) runs(ctx context.Context, pipeline string, sel selection) ([]executionObject, error) {
	if pipeline != "" {
		label := v1alpha1.LabelPipeline + "=" + v1alpha1.LabelValue(pipeline)
		if sel.labels != "" {
			label += "," + sel.labels
		}
		sel.labels = label
	}
	runs, err := list[v1alpha1.PipelineExecution](ctx, p, executionsResource, sel)
	if err != nil {
		return nil, err
	}
	if pipeline != "" { // a label holds at most 63 characters of a name
		kept := runs[:0]
		for _, r := range runs {
			if r.v.Spec.PipelineRef.Name == pipeline {
				kept = append(kept, r)
			}
		}
		runs = kept
	}
	sortNewestFirst(runs)
	return runs, nil
}

func sortNewestFirst(runs []executionObject) {
	sort.SliceStable(runs, func(i, j int) bool {
		a, b := runs[i].v, runs[j].v
		if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
			return b.CreationTimestamp.Before(&a.CreationTimestamp)
		}
		if a.Spec.Run != b.Spec.Run { // created within one second
			return a.Spec.Run > b.Spec.Run
		}
		return a.Name < b.Name
	})
}

// pipeline reads one pipeline; when there is none of that name, the error suggests the
// nearest.
func (p *project) pipeline(ctx context.Context, name string) (pipelineObject, error) {
	o, err := get[v1alpha1.Pipeline](ctx, p, pipelinesResource, name)
	if !apierrors.IsNotFound(err) || isNoSuchResource(err) {
		return o, err
	}
	all, lerr := list[v1alpha1.Pipeline](ctx, p, pipelinesResource, selection{onePage: true})
	if lerr != nil {
		return o, err
	}
	names := make([]string, 0, len(all))
	for _, other := range all {
		names = append(names, other.v.Name)
	}
	switch near := nearest(name, names); {
	case near != "":
		return o, hinted(err, fmt.Sprintf("did you mean %q?", near))
	case len(names) == 0:
		return o, hinted(err, fmt.Sprintf("namespace %q has no pipelines; is it the right one? (-n)", p.namespace))
	default:
		return o, hinted(err, "kubectl pipeline list shows what there is in namespace "+p.namespace)
	}
}

// pipelineName reads an address that must be a pipeline's.
func pipelineName(s string) (string, error) {
	addr, err := parseAddress(s)
	if err != nil {
		return "", err
	}
	if addr.kind != addressName && addr.kind != addressPipeline {
		return "", fmt.Errorf("%q is a run; wanted the name of a pipeline", s)
	}
	return addr.name, nil
}

// title is how people call a run: app#12, or its name until it has a number.
func title(pe *v1alpha1.PipelineExecution) string {
	if pe.Spec.Run == 0 {
		return pe.Name
	}
	return pe.Spec.PipelineRef.Name + "#" + strconv.FormatInt(pe.Spec.Run, 10)
}
