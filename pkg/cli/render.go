package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/pipeline"
)

// renderOptions describe a run that nobody started.
type renderOptions struct {
	part                           string
	event, branch, tag, commit     string
	paths, parameters              []string
	name, repository, pipelineFile string
	settingFile                    string
	number                         int64
	namespace                      string
}

// renderEvents are the words of the config file's `when.event`, and what they are in a
// run.
var renderEvents = []struct {
	word  string
	event v1alpha1.EventType
}{
	{"push", v1alpha1.EventPush}, {"tag", v1alpha1.EventTag}, {"pull_request", v1alpha1.EventPullRequest},
	{"manual", v1alpha1.EventManual}, {"image", v1alpha1.EventImage}, {"schedule", v1alpha1.EventSchedule},
}

var renderParts = []string{"all", "jenkinsfile", "pod", "stages"}

func (a *app) renderCommand() *cobra.Command {
	var o renderOptions
	cmd := &cobra.Command{
		Use:   "render FILE",
		Short: "Print what a config file becomes: Jenkinsfile, agent pod, stages",
		Long: `Print what a run of a config file would be: the Jenkinsfile that Jenkins gets, the agent
pod, and which stages are skipped and why. No cluster is asked. FILE may be - for
standard input.`,
		Example: `  # What would run for a pull request that changes the documentation only?
  kubectl pipeline render .pipeline.yml --event pull_request --path docs/a.md --part stages

  # With a project's own Pipeline and PipelineSetting
  kubectl pipeline render .pipeline.yml --pipeline pipeline.yaml --setting setting.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.namespace = or(a.conn.overrides.Context.Namespace, "default")
			return a.render(args[0], &o)
		},
	}
	words := make([]string, len(renderEvents))
	for i, e := range renderEvents {
		words[i] = e.word
	}
	fs := cmd.Flags()
	fs.StringVar(&o.part, "part", "all", "What to print: "+strings.Join(renderParts, ", "))
	fs.StringVar(&o.event, "event", "push", "What started the run: "+strings.Join(words, ", "))
	fs.StringVar(&o.branch, "branch", "main", "Branch; of a pull request, its target")
	fs.StringVar(&o.tag, "tag", "", "Tag, for the event tag")
	fs.StringVar(&o.commit, "commit", strings.Repeat("0", 40), "Commit, its full id")
	fs.StringArrayVar(&o.paths, "path", nil, "Changed file, repeatable (default: the changed files are not known)")
	fs.StringArrayVarP(&o.parameters, "param", "p", nil, "Parameter as NAME=VALUE, repeatable")
	fs.StringVar(&o.name, "name", "app", "Name of the pipeline")
	fs.Int64Var(&o.number, "run", 1, "Number of the run")
	fs.StringVar(&o.repository, "repository", "https://git.example.com/app.git", "Address of the repository; empty for a pipeline without one")
	fs.StringVar(&o.pipelineFile, "pipeline", "", "File with a Pipeline to take the rest from")
	fs.StringVar(&o.settingFile, "setting", "", "File with a PipelineSetting to take the rest from")
	must(cmd.RegisterFlagCompletionFunc("part", cobra.FixedCompletions(renderParts, cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.RegisterFlagCompletionFunc("event", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func (a *app) render(file string, o *renderOptions) error {
	if !slices.Contains(renderParts, o.part) {
		return fmt.Errorf("--part %q: wanted one of %s", o.part, strings.Join(renderParts, ", "))
	}
	text, err := a.readInput(file)
	if err != nil {
		return err
	}
	config, err := checkConfig(inputName(file), text)
	if err != nil {
		return err
	}
	in, err := o.input(config, text)
	if err != nil {
		return err
	}
	compiled, err := pipeline.Compile(in)
	if err != nil {
		if mistakes, ok := errors.AsType[pipeline.ConfigErrors](err); ok {
			return &badConfig{inputName(file), problems(inputName(file), mistakes)}
		}
		return fmt.Errorf("compile %s: %w", inputName(file), err)
	}
	return writeCompiled(a.Out, compiled, o.part)
}

// input makes up the objects that a run would have in a cluster.
func (o *renderOptions) input(config *pipeline.Config, text string) (pipeline.CompileInput, error) {
	in := pipeline.CompileInput{Config: config, SecretName: "render"}
	in.Pipeline = &v1alpha1.Pipeline{}
	in.Pipeline.Name, in.Pipeline.Namespace = o.name, o.namespace
	if o.pipelineFile != "" {
		if err := readObject(o.pipelineFile, "Pipeline", in.Pipeline); err != nil {
			return in, err
		}
		in.Pipeline.Namespace = or(in.Pipeline.Namespace, o.namespace)
	}
	if o.settingFile != "" {
		in.Setting = &v1alpha1.PipelineSetting{}
		if err := readObject(o.settingFile, "PipelineSetting", in.Setting); err != nil {
			return in, err
		}
	}
	ev, err := o.source()
	if err != nil {
		return in, err
	}
	if o.repository != "" {
		in.Repository = &v1alpha1.SourceCodeRepository{}
		in.Repository.Name, in.Repository.Namespace = o.name, in.Pipeline.Namespace
		in.Repository.Spec.URL, in.Repository.Spec.DefaultBranch = o.repository, "main"
		in.Pipeline.Spec.RepositoryRef = &v1alpha1.LocalReference{Name: o.name}
	}
	pe := pipeline.NewExecution(in.Pipeline, ev)
	pe.Name, pe.GenerateName = fmt.Sprintf("%s-%d", in.Pipeline.Name, o.number), ""
	pe.UID = "00000000-0000-0000-0000-000000000000"
	pe.Spec.Run, pe.Spec.Config = o.number, text
	if pe.Spec.Parameters, err = parseParameters(o.parameters); err != nil {
		return in, err
	}
	in.Execution = pe
	in.Namespace = v1alpha1.ProjectNames{Namespace: in.Pipeline.Namespace}.ExecutorNamespace()
	if in.Setting != nil {
		in.Namespace = or(in.Setting.Spec.Executor.Namespace, in.Namespace)
	}
	return in, nil
}

// source is the event that the flags describe.
func (o *renderOptions) source() (pipeline.Event, error) {
	ev := pipeline.Event{}
	for _, e := range renderEvents {
		if e.word == o.event {
			ev.Type = e.event
		}
	}
	switch {
	case ev.Type == "":
		return ev, fmt.Errorf("--event %q: wanted push, tag, pull_request, manual, image or schedule", o.event)
	case !fullCommit.MatchString(o.commit):
		return ev, fmt.Errorf("--commit %q: wanted a full commit id of 40 (or 64) hexadecimal digits", o.commit)
	case ev.Type == v1alpha1.EventTag && o.tag == "":
		return ev, errors.New("--event tag needs --tag")
	case ev.Type != v1alpha1.EventTag && o.tag != "":
		return ev, errors.New("--tag needs --event tag")
	case o.repository == "":
		return ev, nil
	}
	src := v1alpha1.Source{RepositoryURL: o.repository, Branch: o.branch, Ref: "refs/heads/" + o.branch, Commit: o.commit}
	switch ev.Type {
	case v1alpha1.EventTag:
		src.Branch, src.Tag, src.Ref = "", o.tag, "refs/tags/"+o.tag
	case v1alpha1.EventPullRequest:
		src.BaseBranch, src.PullRequest, src.Ref = o.branch, &v1alpha1.PullRequest{Number: 1}, "refs/pull/1/head"
	}
	src.Paths, src.PathsComplete = o.paths, len(o.paths) > 0
	ev.Source = src
	return ev, nil
}

func readObject(file, kind string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", kind, err)
	}
	var meta struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(text, &meta); err != nil {
		return fmt.Errorf("read %s from %s: %w", kind, file, err)
	}
	if meta.Kind != kind {
		return fmt.Errorf("%s holds a %s; wanted one %s", file, or(meta.Kind, "thing without a kind"), kind)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("read %s from %s: %w", kind, file, err)
	}
	return nil
}

func writeCompiled(w io.Writer, c *pipeline.Compiled, part string) error {
	var b strings.Builder
	all := part == "all"
	if all || part == "stages" {
		writeStages(&b, c, all)
	}
	if c.Nothing {
		_, err := io.WriteString(w, b.String())
		return err
	}
	if all || part == "jenkinsfile" {
		if all {
			b.WriteString("\n# Jenkinsfile\n")
		}
		b.WriteString(strings.TrimRight(c.Jenkinsfile, "\n") + "\n")
	}
	if all || part == "pod" {
		if all {
			b.WriteString("\n# Agent pod\n")
		}
		text, err := podYAML(c.Pod)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeStages(b *strings.Builder, c *pipeline.Compiled, heading bool) {
	if heading {
		b.WriteString("# Stages\n")
	}
	for _, st := range c.Stages {
		verb := "run"
		if st.Phase == v1alpha1.PhaseSkipped {
			verb = "skip"
		}
		fmt.Fprintf(b, "%-4s %s%s\n", verb, oneLine(st.Name), suffix(st.Message != "", ": "+oneLine(st.Message)))
		for _, step := range st.Steps {
			stepVerb := "run"
			if step.Phase == v1alpha1.PhaseSkipped {
				stepVerb = "skip"
			}
			if verb == "run" {
				fmt.Fprintf(b, "  %-4s %s%s\n", stepVerb, oneLine(step.Name), suffix(step.Message != "", ": "+oneLine(step.Message)))
			}
		}
	}
}

func podYAML(pod *corev1.Pod) ([]byte, error) {
	text, err := yaml.Marshal(pod)
	if err != nil {
		return nil, fmt.Errorf("print the agent pod: %w", err)
	}
	var fields map[string]any
	if err := yaml.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("print the agent pod: %w", err)
	}
	delete(fields, "status")
	fields["apiVersion"], fields["kind"] = "v1", "Pod"
	return yaml.Marshal(fields)
}
