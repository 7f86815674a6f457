package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func (a *app) describeCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:     "describe PIPELINE|RUN",
		Aliases: []string{"desc"},
		Short:   "Show a pipeline or a run in detail, the cause of a failure first",
		Long: `Show a pipeline or a run in detail. A bare name is a pipeline's if there is one of that
name, else a run's.

` + addressHelp,
		Example: `  kubectl pipeline describe app
  kubectl pipeline describe app#12
  kubectl pipeline describe @latest -o yaml`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeBoth,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			addr, err := parseAddress(args[0])
			if err != nil {
				return err
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			if addr.kind == addressPipeline {
				pl, err := p.pipeline(cmd.Context(), addr.name)
				if err != nil {
					return err
				}
				return a.describePipeline(cmd.Context(), p, pl, &out)
			}
			if addr.kind == addressName {
				return a.describeName(cmd.Context(), p, addr.name, &out)
			}
			run, err := p.runOf(cmd.Context(), args[0], false)
			if err != nil {
				return err
			}
			return a.describeRun(run, &out)
		},
	}
	out.bind(cmd, false)
	return cmd
}

// describeName describes the pipeline of that name, or else the run.
func (a *app) describeName(ctx context.Context, p *project, name string, out *output) error {
	pl, err := get[v1alpha1.Pipeline](ctx, p, pipelinesResource, name)
	if err == nil {
		return a.describePipeline(ctx, p, pl, out)
	}
	if !apierrors.IsNotFound(err) || isNoSuchResource(err) {
		return err
	}
	run, err := get[v1alpha1.PipelineExecution](ctx, p, executionsResource, name)
	if apierrors.IsNotFound(err) {
		_, err = p.pipeline(ctx, name) // for its hint
		return hinted(fmt.Errorf("namespace %q has no pipeline and no run %q", p.namespace, name), hintOf(err))
	}
	if err != nil {
		return err
	}
	return a.describeRun(run, out)
}

// labelled prints "Label:  value" lines as kubectl describe does.
type labelled struct{ w io.Writer }

func (f labelled) line(label, format string, args ...any) {
	fmt.Fprintf(f.w, "%-14s%s\n", label+":", fmt.Sprintf(format, args...))
}

func (a *app) describeRun(run executionObject, out *output) error {
	if out.machine() {
		return out.printOne(a.Out, run)
	}
	var b strings.Builder
	a.writeRun(&b, run.v)
	_, err := io.WriteString(a.Out, b.String())
	if err == nil && run.v.Status.Phase == v1alpha1.PhaseFailed {
		fmt.Fprintf(a.ErrOut, "hint: kubectl pipeline logs %s\n", run.v.Name)
	}
	return err
}

func (a *app) writeRun(w io.Writer, pe *v1alpha1.PipelineExecution) {
	s, now, f := a.style(a.Out), a.now(), labelled{w}
	st := &pe.Status
	f.line("Name", "%s", pe.Name)
	f.line("Namespace", "%s", pe.Namespace)
	f.line("Pipeline", "%s%s", pe.Spec.PipelineRef.Name, suffix(pe.Spec.Run > 0, fmt.Sprintf(" (run %d)", pe.Spec.Run)))
	f.line("Phase", "%s%s", s.paint(s.phaseColor(phaseOf(pe)), string(phaseOf(pe))), suffix(st.Reason != "" && st.Reason != string(phaseOf(pe)), " ("+st.Reason+")"))
	if why := cause(pe); why != "" {
		f.line(map[bool]string{true: "Failure", false: "Message"}[st.Phase == v1alpha1.PhaseFailed], "%s", s.paint(s.phaseColor(phaseOf(pe)), why))
	}
	if pe.Spec.Control != "" && pe.Spec.Control != v1alpha1.ControlRun {
		f.line("Control", "%s", pe.Spec.Control)
	}
	if src := pe.Spec.Source; src != nil {
		f.line("Repository", "%s", src.RepositoryURL)
		f.line("Source", "%s", strings.TrimSuffix(sourceLine(pe, s), ", "+triggerText(pe)))
		if src.Commit != "" {
			f.line("Commit", "%s", src.Commit)
		}
	}
	f.line("Trigger", "%s", triggerText(pe))
	f.line("Created", "%s (%s ago)", pe.CreationTimestamp.UTC().Format("2006-01-02T15:04:05Z"), age(pe.CreationTimestamp, now))
	if st.StartedAt != nil {
		f.line("Started", "%s (%s ago)", st.StartedAt.UTC().Format("2006-01-02T15:04:05Z"), age(*st.StartedAt, now))
		f.line("Duration", "%s", span(st.StartedAt, st.FinishedAt, now))
	}
	if st.Agent != nil {
		f.line("Agent", "%s/%s on node %s", st.Agent.Namespace, st.Agent.Pod, or(st.Agent.Node, none))
	}
	if e := st.Engine; e != nil && e.Job != "" {
		f.line("Engine", "%s %s%s", e.Kind, e.Job, suffix(e.Build > 0, fmt.Sprintf(" build %d", e.Build)))
		if e.URL != "" {
			f.line("URL", "%s", e.URL)
		}
	}
	if len(pe.Spec.Parameters) > 0 {
		fmt.Fprintln(w, "Parameters:")
		for _, p := range pe.Spec.Parameters {
			fmt.Fprintf(w, "  %s=%s\n", p.Name, oneLine(p.Value))
		}
	}
	if len(st.Stages) > 0 {
		fmt.Fprintln(w, "Stages:")
		width := 0
		if sc := a.screen(a.Out); sc.tty {
			width = sc.width - 3
		} else {
			width = 1 << 16
		}
		for _, line := range treeRows(st.Stages, now, width, s) {
			fmt.Fprintln(w, "  "+line)
		}
	}
	a.writeConditions(w, st.Conditions)
}

func suffix(when bool, text string) string {
	if when {
		return text
	}
	return ""
}

func (a *app) describePipeline(ctx context.Context, p *project, pl pipelineObject, out *output) error {
	if out.machine() {
		return out.printOne(a.Out, pl)
	}
	runs, err := p.runs(ctx, pl.v.Name, selection{})
	if err != nil {
		return fmt.Errorf("list the runs of pipeline %s: %w", pl.v.Name, err)
	}
	var b strings.Builder
	a.writePipeline(&b, pl.v, runs)
	_, err = io.WriteString(a.Out, b.String())
	return err
}

// shownRuns is how many runs the description of a pipeline shows.
const shownRuns = 10

func (a *app) writePipeline(w io.Writer, pl *v1alpha1.Pipeline, runs []executionObject) {
	now, f, spec := a.now(), labelled{w}, &pl.Spec
	f.line("Name", "%s", pl.Name)
	f.line("Namespace", "%s", pl.Namespace)
	if spec.RepositoryRef != nil {
		f.line("Repository", "%s", spec.RepositoryRef.Name)
		f.line("Branch", "%s", or(spec.Branch, "the repository's default"))
	}
	f.line("Config", "%s", configOf(spec))
	f.line("Triggers", "%s", triggersOf(spec))
	if spec.Suspend {
		f.line("Suspended", "true: events start no runs, people do")
	}
	if spec.Concurrency != nil {
		f.line("Concurrency", "%s%s", spec.Concurrency.Policy, suffix(spec.Concurrency.Max != nil, fmt.Sprintf(", at most %d", deref(spec.Concurrency.Max))))
	}
	if spec.Timeout != nil {
		f.line("Timeout", "%s", spec.Timeout.Duration)
	}
	if c := pl.Status.Cache; c != nil && c.HitRate != nil {
		f.line("Cache", "%d%% of recent runs found it", *c.HitRate)
	}
	if nodes := pl.Status.RecentNodes; len(nodes) > 0 {
		names := make([]string, len(nodes))
		for i, n := range nodes {
			names[i] = n.Name
		}
		f.line("Warm nodes", "%s", strings.Join(names, ", "))
	}
	f.line("Created", "%s (%s ago)", pl.CreationTimestamp.UTC().Format("2006-01-02T15:04:05Z"), age(pl.CreationTimestamp, now))
	if len(spec.Parameters) > 0 {
		fmt.Fprintln(w, "Parameters:")
		for _, d := range spec.Parameters {
			line := "  " + describeParameter(d)
			if d.Default != nil {
				line += fmt.Sprintf(" (default %q)", *d.Default)
			} else if d.Required {
				line += " (required)"
			}
			fmt.Fprintln(w, line+suffix(d.Description != "", "  "+oneLine(d.Description)))
		}
	}
	a.writeConditions(w, pl.Status.Conditions)
	if len(runs) == 0 {
		fmt.Fprintln(w, "Runs:         <none>")
		return
	}
	fmt.Fprintf(w, "Runs:         %s\n", successRate(runs))
	var table strings.Builder
	// A string builder takes everything it is given.
	_ = a.runTable(runs[:min(len(runs), shownRuns)], false, false, false).write(&table, a.style(a.Out), true)
	for line := range strings.Lines(table.String()) {
		fmt.Fprint(w, "  "+line)
	}
}

func deref(n *int32) int32 {
	if n == nil {
		return 0
	}
	return *n
}

func configOf(spec *v1alpha1.PipelineSpec) string {
	switch {
	case spec.Config != "":
		return "in the Pipeline itself"
	case spec.ConfigMapRef != nil:
		return "ConfigMap " + spec.ConfigMapRef.Name + ", key " + or(spec.ConfigMapRef.Key, ".pipeline.yml")
	}
	return or(spec.ConfigPath, ".pipeline.yml of the repository, or one of its older names")
}

func triggersOf(spec *v1alpha1.PipelineSpec) string {
	t := spec.Triggers
	if t == nil {
		return "people only"
	}
	var parts []string
	if t.Push != nil {
		parts = append(parts, "push"+filterText(t.Push.Branches))
	}
	if t.Tag != nil {
		parts = append(parts, "tag"+filterText(t.Tag.Tags))
	}
	if t.PullRequest != nil {
		parts = append(parts, "pull request"+filterText(t.PullRequest.Branches))
	}
	for _, i := range t.Image {
		parts = append(parts, "image "+i.Repository)
	}
	for _, s := range t.Schedule {
		parts = append(parts, fmt.Sprintf("schedule %q", s.Cron))
	}
	return or(strings.Join(parts, ", "), "people only")
}

func filterText(f *v1alpha1.Filter) string {
	if f == nil {
		return ""
	}
	text := ""
	if len(f.Include) > 0 {
		text += " (" + strings.Join(f.Include, " ") + ")"
	}
	if len(f.Exclude) > 0 {
		text += " not (" + strings.Join(f.Exclude, " ") + ")"
	}
	return text
}

// successRate counts the finished runs that succeeded.
func successRate(runs []executionObject) string {
	finished, good := 0, 0
	for _, r := range runs {
		if terminal(r.v) {
			finished++
			if r.v.Status.Phase == v1alpha1.PhaseSucceeded {
				good++
			}
		}
	}
	if finished == 0 {
		return "none has finished yet"
	}
	return fmt.Sprintf("%d of %d finished ones succeeded", good, finished)
}
