package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func (a *app) runsCommand() *cobra.Command {
	var out output
	var sel selection
	var filter runFilter
	var limit int
	cmd := &cobra.Command{
		Use:     "runs [PIPELINE]",
		Aliases: []string{"ps"},
		Short:   "List runs, newest first",
		Long: `List runs, newest first: all of the namespace, or those of one pipeline. -o wide adds
the commit, its author, the node and the cause of a failure. Filters can be combined.`,
		Example: `  # The newest runs of the namespace
  kubectl pipeline runs

  # What is going on now, everywhere
  kubectl pipeline runs -A --phase queued,pending,running,paused

  # Failed runs of one pipeline on one branch, with commit and cause
  kubectl pipeline runs app --branch main --phase failed -o wide`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completePipelines(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if err := filter.check(); err != nil {
				return err
			}
			name := ""
			if len(args) > 0 {
				var err error
				if name, err = pipelineName(args[0]); err != nil {
					return err
				}
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			filter.narrow(&sel)
			runs, err := p.runs(cmd.Context(), name, sel)
			if err != nil {
				return fmt.Errorf("list runs: %w", err)
			}
			if len(runs) == 0 && name != "" && sel.labels == "" && !sel.allNamespaces {
				if _, err := p.pipeline(cmd.Context(), name); err != nil {
					return err
				}
			}
			runs = slices.DeleteFunc(runs, func(r executionObject) bool { return !filter.passes(r.v) })
			hidden := 0
			if limit > 0 && len(runs) > limit {
				hidden = len(runs) - limit
				runs = runs[:limit]
			}
			if out.machine() {
				return printList(&out, a.Out, runs)
			}
			if len(runs) == 0 {
				a.nothing("runs", p, sel.allNamespaces)
				return nil
			}
			if err := a.runTable(runs, name == "", sel.allNamespaces, out.format == "wide").write(a.Out, a.style(a.Out), out.headers); err != nil {
				return err
			}
			if hidden > 0 {
				fmt.Fprintf(a.ErrOut, "%d older runs are not shown (--limit 0 shows all)\n", hidden)
			}
			return nil
		},
	}
	out.bind(cmd, true)
	fs := cmd.Flags()
	fs.BoolVarP(&sel.allNamespaces, "all-namespaces", "A", false, "List across all namespaces")
	fs.StringVarP(&sel.labels, "selector", "l", "", "Label selector, such as kubectl-pipeline.io/trigger=Push")
	fs.StringSliceVar(&filter.phases, "phase", nil, "Only runs in these phases, such as failed,aborted")
	fs.StringVar(&filter.branch, "branch", "", "Only runs of this branch")
	fs.IntVar(&limit, "limit", 20, "How many runs to show; 0 for all")
	must(cmd.RegisterFlagCompletionFunc("phase", cobra.FixedCompletions(lowerPhases(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// runPhases are the phases that a run can be in, in their order.
var runPhases = []v1alpha1.Phase{
	v1alpha1.PhaseQueued, v1alpha1.PhasePending, v1alpha1.PhaseRunning, v1alpha1.PhasePaused,
	v1alpha1.PhaseSucceeded, v1alpha1.PhaseFailed, v1alpha1.PhaseAborted,
}

func lowerPhases() []string {
	var names []string
	for _, p := range runPhases {
		names = append(names, strings.ToLower(string(p)))
	}
	return names
}

// runFilter selects runs by what labels cannot tell alone.
type runFilter struct {
	phases []string
	branch string
}

func (f *runFilter) check() error {
	for _, name := range f.phases {
		if !slices.Contains(lowerPhases(), strings.ToLower(name)) {
			return fmt.Errorf("--phase %q: wanted some of %s", name, strings.Join(lowerPhases(), ","))
		}
	}
	return nil
}

// narrow lets the server select what its labels know.
func (f *runFilter) narrow(sel *selection) {
	var labels []string
	if sel.labels != "" {
		labels = append(labels, sel.labels)
	}
	if f.branch != "" {
		labels = append(labels, v1alpha1.LabelBranchHash+"="+v1alpha1.ShortHash(f.branch))
	}
	sel.labels = strings.Join(labels, ",")
}

func (f *runFilter) passes(pe *v1alpha1.PipelineExecution) bool {
	if f.branch != "" && (pe.Spec.Source == nil || pe.Spec.Source.Branch != f.branch) {
		return false
	}
	return len(f.phases) == 0 || slices.ContainsFunc(f.phases, func(name string) bool {
		return strings.EqualFold(name, string(phaseOf(pe)))
	})
}

func (a *app) runTable(runs []executionObject, pipelines, namespaces, wide bool) *table {
	now := a.now()
	t := &table{titles: []string{"NAME", "RUN", "PHASE", "BRANCH", "TRIGGER", "DURATION", "AGE"}}
	if pipelines {
		t.titles = slices.Insert(t.titles, 1, "PIPELINE")
	}
	if wide {
		t.titles = append(t.titles, "COMMIT", "AUTHOR", "NODE", "MESSAGE")
	}
	if namespaces {
		t.titles = slices.Insert(t.titles, 0, "NAMESPACE")
	}
	s := a.style(a.Out)
	for _, r := range runs {
		pe := r.v
		branch, commit, author := none, none, none
		if src := pe.Spec.Source; src != nil {
			branch, commit, author = or(src.Branch, or(src.Tag, none)), or(shortCommit(src.Commit), none), or(oneLine(src.Author), none)
		}
		row := []cell{
			{text: pe.Name}, {text: number(pe.Spec.Run)}, {string(phaseOf(pe)), looks[phaseOf(pe)].color}, {text: branch},
			{text: string(pe.Spec.Trigger.Type)}, {text: span(pe.Status.StartedAt, pe.Status.FinishedAt, now)}, {text: age(pe.CreationTimestamp, now)},
		}
		if pipelines {
			row = slices.Insert(row, 1, cell{text: pe.Spec.PipelineRef.Name})
		}
		if wide {
			node := none
			if pe.Status.Agent != nil {
				node = or(pe.Status.Agent.Node, none)
			}
			row = append(row, cell{text: commit}, cell{text: author}, cell{text: node}, cell{text: or(clip(cause(pe), 120, s), none)})
		}
		if namespaces {
			row = slices.Insert(row, 0, cell{text: pe.Namespace})
		}
		t.add(row...)
	}
	return t
}
