package cli

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func (a *app) listCommand() *cobra.Command {
	var out output
	var sel selection
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"get", "ls"},
		Short:   "List pipelines and how their last run went",
		Long: `List pipelines and how their last run went. -o wide adds the branch, whether events are
suspended, the node that ran it last and the cache's hit rate.`,
		Example: `  # Pipelines of the context's namespace
  kubectl pipeline list

  # Of all namespaces, with the node that is warm and the cache's hit rate
  kubectl pipeline list -A -o wide`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			p, err := a.connect()
			if err != nil {
				return err
			}
			all, err := list[v1alpha1.Pipeline](cmd.Context(), p, pipelinesResource, sel)
			if err != nil {
				return fmt.Errorf("list pipelines: %w", err)
			}
			slices.SortStableFunc(all, func(x, y pipelineObject) int {
				return cmp.Or(cmp.Compare(x.v.Namespace, y.v.Namespace), cmp.Compare(x.v.Name, y.v.Name))
			})
			if out.machine() {
				return printList(&out, a.Out, all)
			}
			if len(all) == 0 {
				a.nothing("pipelines", p, sel.allNamespaces)
				return nil
			}
			return a.pipelineTable(all, sel.allNamespaces, out.format == "wide").write(a.Out, a.style(a.Out), out.headers)
		},
	}
	out.bind(cmd, true)
	cmd.Flags().BoolVarP(&sel.allNamespaces, "all-namespaces", "A", false, "List across all namespaces")
	cmd.Flags().StringVarP(&sel.labels, "selector", "l", "", "Label selector, such as team=shop")
	return cmd
}

// nothing says that a list is empty, on standard error: an empty list is no data.
func (a *app) nothing(what string, p *project, allNamespaces bool) {
	if allNamespaces {
		fmt.Fprintf(a.ErrOut, "No %s found.\n", what)
		return
	}
	fmt.Fprintf(a.ErrOut, "No %s found in namespace %s.\n", what, p.namespace)
}

func (a *app) pipelineTable(all []pipelineObject, namespaces, wide bool) *table {
	now := a.now()
	t := &table{titles: []string{"NAME", "REPOSITORY", "LAST-RUN", "PHASE", "STARTED", "AGE"}}
	if wide {
		t.titles = append(t.titles, "BRANCH", "SUSPENDED", "NODE", "CACHE-HITS")
	}
	if namespaces {
		t.titles = append([]string{"NAMESPACE"}, t.titles...)
	}
	for _, o := range all {
		pl := o.v
		repository, run, phase, started := none, none, cell{text: none}, none
		if pl.Spec.RepositoryRef != nil {
			repository = pl.Spec.RepositoryRef.Name
		}
		if last := pl.Status.LastExecution; last != nil {
			run, started = number(last.Run), ageOf(last.StartedAt, now)
			phase = cell{or(string(last.Phase), none), looks[last.Phase].color}
		}
		row := []cell{{text: pl.Name}, {text: repository}, {text: run}, phase, {text: started}, {text: age(pl.CreationTimestamp, now)}}
		if wide {
			node, hits := none, none
			if len(pl.Status.RecentNodes) > 0 {
				node = pl.Status.RecentNodes[0].Name
			}
			if c := pl.Status.Cache; c != nil && c.HitRate != nil {
				hits = fmt.Sprintf("%d%%", *c.HitRate)
			}
			row = append(row, cell{text: or(pl.Spec.Branch, none)}, cell{text: fmt.Sprint(pl.Spec.Suspend)}, cell{text: node}, cell{text: hits})
		}
		if namespaces {
			row = append([]cell{{text: pl.Namespace}}, row...)
		}
		t.add(row...)
	}
	return t
}
