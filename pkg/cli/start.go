package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// starting is what the verbs that make a run have in common.
type starting struct {
	out    output
	dryRun string
	follow following
}

func (s *starting) bind(cmd *cobra.Command) {
	s.out.bind(cmd, false)
	fs := cmd.Flags()
	fs.StringVar(&s.dryRun, "dry-run", "none", "none, client (only print what would be sent) or server (send it, store nothing)")
	fs.Lookup("dry-run").NoOptDefVal = "client"
	must(cmd.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{"none", "client", "server"}, cobra.ShellCompDirectiveNoFileComp)))
	s.follow.bind(cmd)
}

func (s *starting) check() error {
	if err := s.out.check(); err != nil {
		return err
	}
	switch s.dryRun {
	case "none":
	case "client", "server":
		if s.follow.active() {
			return fmt.Errorf("--dry-run=%s makes no run to wait for", s.dryRun)
		}
	default:
		return fmt.Errorf("--dry-run %q: wanted none, client or server", s.dryRun)
	}
	if !s.follow.active() && s.follow.timeout > 0 {
		return errors.New("--timeout needs --watch, --wait or --logs")
	}
	if s.follow.logs && s.out.machine() && s.out.format != "name" {
		return fmt.Errorf("--logs and -o %s would both write to standard output", s.out.format)
	}
	return s.follow.check()
}

// start makes the run, says so, and waits for it when it is asked to.
func (a *app) start(ctx context.Context, p *project, pe *v1alpha1.PipelineExecution, s *starting) error {
	pe.Namespace = p.namespace
	run, err := a.store(ctx, p, pe, s.dryRun)
	if err != nil {
		return fmt.Errorf("start a run of pipeline %s: %w", pe.Spec.PipelineRef.Name, err)
	}
	documentAtEnd := s.follow.active() && s.out.machine() && s.out.format != "name"
	if !documentAtEnd {
		if err := a.printStarted(run, s); err != nil {
			return err
		}
	}
	if !s.follow.active() {
		if s.dryRun == "none" {
			fmt.Fprintf(a.ErrOut, "hint: kubectl pipeline watch %s shows how it goes\n", run.v.Name)
		}
		return nil
	}
	tree := a.Out
	if s.out.machine() {
		tree = a.ErrOut // standard output is for the program that reads it
	}
	last, err := a.follow(ctx, p, run.v, &s.follow, tree)
	if documentAtEnd && last != nil {
		final, werr := get[v1alpha1.PipelineExecution](context.WithoutCancel(ctx), p, executionsResource, last.Name)
		if werr == nil {
			werr = s.out.printOne(a.Out, final)
		}
		if err == nil {
			err = werr
		}
	}
	return err
}

// printStarted writes the run's name, which is the data; with --watch or --logs the
// tree or the log is.
func (a *app) printStarted(run executionObject, s *starting) error {
	if s.out.machine() {
		return s.out.printOne(a.Out, run)
	}
	u, err := run.unstructured()
	if err != nil {
		return err
	}
	operation := map[string]string{"none": "created", "client": "created (dry run)", "server": "created (server dry run)"}[s.dryRun]
	w := a.Out
	if s.follow.watch || s.follow.logs {
		w = a.ErrOut
	}
	return (&printers.NamePrinter{Operation: operation}).PrintObj(u, w)
}

// storeAttempts bounds the requests for one run.
const storeAttempts = 5

// store creates the run under a name that is chosen here, so that a request whose
// answer was lost can be repeated: it finds its own run instead of making a second.
func (a *app) store(ctx context.Context, p *project, pe *v1alpha1.PipelineExecution, dryRun string) (executionObject, error) {
	prefix := pe.GenerateName
	pe.GenerateName = ""
	lost := false // an answer: the run may exist
	for attempt := 0; ; attempt++ {
		if !lost {
			pe.Name = prefix + rand.String(6)
		}
		obj, err := wrap(pe)
		if err != nil || dryRun == "client" {
			return obj, err
		}
		stored, err := create(ctx, p, executionsResource, obj, dryRun == "server")
		switch {
		case err == nil:
			return stored, nil
		case attempt+1 >= storeAttempts || ctx.Err() != nil:
			return stored, err
		case apierrors.IsAlreadyExists(err):
			if lost {
				return get[v1alpha1.PipelineExecution](ctx, p, executionsResource, pe.Name)
			}
			continue // somebody else's, one time in 387 million
		case !answerLost(err):
			return stored, err
		}
		lost = true
		if err := a.pause(ctx, retryAfter(err, attempt)); err != nil {
			return stored, err
		}
	}
}

// answerLost tells the errors after which the request may or may not have been done.
func answerLost(err error) bool {
	var transport *url.Error
	return errors.As(err, &transport) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err)
}
