package cli

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

type runOptions struct {
	starting
	branch, tag, commit string
	parameters          []string
	file                string
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:     "run PIPELINE",
		Aliases: []string{"start"},
		Short:   "Start a run of a pipeline",
		Long: `Start a run of a pipeline: of the newest commit of its branch, unless a branch, tag
or commit is named. What is built is fixed when the run is admitted.

With --watch, --wait or --logs the command goes on until the run ends and exits by its
result (kubectl pipeline help exit-codes). Ctrl-C leaves the run going, with exit code
125; a second one ends the command at once.`,
		Example: `  # Run, and see it through
  kubectl pipeline run app -w

  # A branch, with parameters; the name of the run for a script
  kubectl pipeline run app --branch release/1.2 -p target=prod -o name

  # Try a config file without committing it
  kubectl pipeline run app -f .pipeline.yml --logs`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completePipelines(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.run1(cmd.Context(), args[0], &o)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.branch, "branch", "", "Branch to build (default: the pipeline's, else the repository's)")
	fs.StringVar(&o.tag, "tag", "", "Tag to build")
	fs.StringVar(&o.commit, "commit", "", "Commit to build, its full id (default: the newest of the branch or tag)")
	fs.StringArrayVarP(&o.parameters, "param", "p", nil, "Parameter as NAME=VALUE; of a Secret parameter, NAME=SECRET/KEY; repeatable")
	fs.StringVarP(&o.file, "filename", "f", "", "Config file to use instead of the repository's, - for standard input")
	o.bind(cmd)
	return cmd
}

var fullCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func (o *runOptions) check() error {
	if o.commit != "" && !fullCommit.MatchString(o.commit) {
		return hinted(fmt.Errorf("--commit %q: wanted a full commit id of 40 (or 64) hexadecimal digits", o.commit), "git rev-parse "+o.commit)
	}
	if o.branch != "" && o.tag != "" {
		return errors.New("--branch and --tag exclude each other")
	}
	return o.starting.check()
}

func (a *app) run1(ctx context.Context, arg string, o *runOptions) error {
	name, err := pipelineName(arg)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	given, err := parseParameters(o.parameters)
	if err != nil {
		return err
	}
	text, config, err := a.temporaryConfig(o.file)
	if err != nil {
		return err
	}
	p, err := a.connect()
	if err != nil {
		return err
	}
	pl, repo, user, err := p.gatherRun(ctx, name)
	if err != nil {
		return err
	}
	if repo == nil && (o.branch != "" || o.tag != "" || o.commit != "") {
		return fmt.Errorf("pipeline %s has no repository: --branch, --tag and --commit mean nothing to it", name)
	}
	if err := a.checkParameters(pl, config, given); err != nil {
		return err
	}
	if pl.Spec.Suspend {
		fmt.Fprintf(a.ErrOut, "pipeline %s is suspended: events start no runs, people do\n", name)
	}
	pe := pipeline.NewExecution(pl, pipeline.ManualEvent(pl, repo, pipeline.ManualRequest{
		Branch: o.branch, Tag: o.tag, Commit: o.commit, User: user,
	}))
	pe.Spec.Parameters = given
	pe.Spec.Config = text
	return a.start(ctx, p, pe, &o.starting)
}

// gatherRun reads what a run is made from; who asks is found out meanwhile.
func (p *project) gatherRun(ctx context.Context, name string) (pl *v1alpha1.Pipeline, repo *v1alpha1.SourceCodeRepository, user string, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		user = p.userName(gctx)
		return nil
	})
	g.Go(func() error {
		o, err := p.pipeline(gctx, name)
		if err != nil {
			return fmt.Errorf("read pipeline %s: %w", name, err)
		}
		pl = o.v
		if pl.Spec.RepositoryRef == nil {
			return nil
		}
		r, err := get[v1alpha1.SourceCodeRepository](gctx, p, repositoriesResource, pl.Spec.RepositoryRef.Name)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("pipeline %s builds SourceCodeRepository %q, which does not exist in namespace %s", name, pl.Spec.RepositoryRef.Name, p.namespace)
		}
		repo = r.v
		if err != nil {
			return fmt.Errorf("read repository %s: %w", pl.Spec.RepositoryRef.Name, err)
		}
		return nil
	})
	err = g.Wait()
	return pl, repo, user, err
}

func parseParameters(args []string) ([]v1alpha1.Parameter, error) {
	var out []v1alpha1.Parameter
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("-p %q: wanted NAME=VALUE", arg)
		}
		if slices.ContainsFunc(out, func(p v1alpha1.Parameter) bool { return p.Name == name }) {
			return nil, fmt.Errorf("-p %s is given twice", name)
		}
		out = append(out, v1alpha1.Parameter{Name: name, Value: value})
	}
	return out, nil
}

// temporaryConfig reads and checks the config file that -f names.
func (a *app) temporaryConfig(file string) (string, *pipeline.Config, error) {
	if file == "" {
		return "", nil, nil
	}
	text, err := a.readInput(file)
	if err != nil {
		return "", nil, err
	}
	config, err := checkConfig(inputName(file), text)
	return text, config, err
}

// checkParameters refuses before anything is stored what admission would refuse. When
// the config file is still in the repository, what it declares is not known here: then
// only values of the Pipeline's own parameters are checked.
func (a *app) checkParameters(pl *v1alpha1.Pipeline, config *pipeline.Config, given []v1alpha1.Parameter) error {
	if config == nil && pl.Spec.Config != "" {
		var err error
		if config, err = pipeline.ParseConfig(pl.Spec.Config); err != nil {
			return fmt.Errorf("pipeline %s has a config with errors: %w", pl.Name, err)
		}
	}
	declared := pipeline.DeclaredParameters(pl, config)
	if config == nil {
		var known []v1alpha1.Parameter
		for _, g := range given {
			if slices.ContainsFunc(declared, func(d v1alpha1.ParameterSpec) bool { return d.Name == g.Name }) {
				known = append(known, g)
				continue
			}
			fmt.Fprintf(a.ErrOut, "parameter %s is not one of the Pipeline's: the run fails unless its config file declares it\n", g.Name)
		}
		given = known
		for i := range declared {
			declared[i].Required = false // the config file may give a default
		}
	}
	if _, err := pipeline.ResolveParameters(declared, given); err != nil {
		var names []string
		for _, d := range declared {
			names = append(names, describeParameter(d))
		}
		return hinted(errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")), or(strings.Join(names, ", "), "it takes no parameters"))
	}
	return nil
}

// describeParameter shows what a parameter takes: target=dev|prod.
func describeParameter(d v1alpha1.ParameterSpec) string {
	wants := strings.ToUpper(string(d.Type))
	switch d.Type {
	case v1alpha1.ParameterChoice:
		wants = strings.Join(d.Choices, "|")
	case v1alpha1.ParameterBoolean:
		wants = "true|false"
	case v1alpha1.ParameterSecret:
		wants = "SECRET/KEY"
	}
	return d.Name + "=" + or(wants, "STRING")
}
