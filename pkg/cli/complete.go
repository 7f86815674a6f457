package cli

import (
	"context"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Completion is one request, of at most completionLimit objects, that may take
// completionTimeout: a shell that hangs is worse than one that offers nothing. For the
// same reason its errors are silent.
const (
	completionLimit   = 100
	completionTimeout = 800 * time.Millisecond
)

type completer = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// completePipelines offers pipelines for the first n arguments (0 for all).
func (a *app) completePipelines(n int) completer {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if n > 0 && len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.offer(cmd, args, typed, func(ctx context.Context, p *project) []cobra.Completion { return offerPipelines(ctx, p) })
	}
}

// completeRuns offers runs for the first n arguments (0 for all).
func (a *app) completeRuns(n int) completer {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if n > 0 && len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.offer(cmd, args, typed, a.offerRuns)
	}
}

// completeBoth offers pipelines until what is typed can only be a run.
func (a *app) completeBoth(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if strings.ContainsAny(typed, "#-") {
		return a.offer(cmd, args, typed, a.offerRuns)
	}
	return a.offer(cmd, args, typed, func(ctx context.Context, p *project) []cobra.Completion { return offerPipelines(ctx, p) })
}

func (a *app) offer(cmd *cobra.Command, args []string, typed string, ask func(context.Context, *project) []cobra.Completion) ([]cobra.Completion, cobra.ShellCompDirective) {
	p, err := a.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	var out []cobra.Completion
	for _, c := range ask(ctx, p) {
		name, _, _ := strings.Cut(c, "\t")
		used := false
		for _, arg := range args {
			used = used || arg == name
		}
		if strings.HasPrefix(name, typed) && !used {
			out = append(out, c)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func offerPipelines(ctx context.Context, p *project) []cobra.Completion {
	all, err := list[v1alpha1.Pipeline](ctx, p, pipelinesResource, selection{limit: completionLimit, onePage: true})
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, pl := range all {
		about := "no run yet"
		if last := pl.v.Status.LastExecution; last != nil {
			about = "last run " + string(last.Phase)
		}
		out = append(out, cobra.CompletionWithDesc(pl.v.Name, about))
	}
	sort.Strings(out)
	return out
}

func (a *app) offerRuns(ctx context.Context, p *project) []cobra.Completion {
	runs, err := p.runs(ctx, "", selection{limit: completionLimit, onePage: true})
	if err != nil {
		return nil
	}
	var out []cobra.Completion
	for _, r := range runs {
		about := string(phaseOf(r.v)) + ", " + age(r.v.CreationTimestamp, a.now())
		out = append(out, cobra.CompletionWithDesc(title(r.v), about))
	}
	return out
}

func (a *app) completeContexts(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	raw, err := a.conn.clientConfig().RawConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for name := range raw.Contexts {
		out = append(out, name)
	}
	sort.Strings(out)
	return out, cobra.ShellCompDirectiveNoFileComp
}
