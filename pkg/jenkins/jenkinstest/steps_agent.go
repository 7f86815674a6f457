package jenkinstest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const defaultConnectTimeout = 1000 * time.Second

func stepPodTemplate(r *runner, c *call, fr frame) error {
	a := args(c, "")
	t := &PodTemplate{
		Cloud: optional(a, "cloud", "kubernetes"), Namespace: optional(a, "namespace", ""), YAML: optional(a, "yaml", ""),
		ShowRawYAML:    optional(a, "showRawYaml", true),
		ConnectTimeout: time.Duration(optional(a, "slaveConnectTimeout", 0)) * time.Second,
	}
	if retention, ok := take(a, "podRetention", (*call)(nil)); ok && retention.name != "never" {
		a.fail("the double knows only podRetention: never()")
	}
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err); err != nil {
		return err
	}
	if t.ConnectTimeout <= 0 {
		t.ConnectTimeout = defaultConnectTimeout
	}
	fr.tmpl, fr.label = t, podLabel(r.b.jobName, r.b.number)
	r.begin(c)
	return r.body("podTemplate", body, "", fr, nil)
}

var unsafeLabel = regexp.MustCompile(`[^-a-zA-Z0-9._]`)

// podLabel is what the Kubernetes plugin makes of "folder/job#12".
func podLabel(job string, number int) string {
	s := unsafeLabel.ReplaceAllString(fmt.Sprintf("%s_%d", job, number), "_")
	return strings.TrimLeft(s[max(0, len(s)-57):], "-._") + "-" + randomSuffix()
}

func randomSuffix() string { return strings.ToLower(rand.Text()[:5]) }

func workspaceOf(root, job string) string {
	return path.Join(root, "workspace", strings.ReplaceAll(job, "/", "_"))
}

// stepNode waits for an agent in the queue, like any other executor would, and gives it back at the end.
func stepNode(r *runner, c *call, fr frame) error {
	a := args(c, "label")
	label := required[identRef](a, "label")
	if a.err == nil && (label != "POD_LABEL" || fr.tmpl == nil) {
		return thrown("groovy.lang.MissingPropertyException", "No such property: %s for class: groovy.lang.Binding", string(label))
	}
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err); err != nil {
		return err
	}
	r.begin(c)
	b := r.b
	ctx, cancel := context.WithCancelCause(fr.ctx)
	defer cancel(nil)
	item, done := r.s.waitNode(b, fr.stage, fr.label, func() { cancel(interrupted("Queue task was cancelled")) })
	agent, err := r.s.agents.Provision(ctx, NodeRequest{
		Template: *fr.tmpl, Label: fr.label, JobName: b.jobName, Number: b.number,
		BuildURL: r.s.opts.RootURL + b.path(), RunURL: b.path(),
		Waiting: func(why string) { r.s.setWhy(item, why) },
	}, b)
	done()
	if err != nil {
		return interruptOf(ctx, err)
	}
	defer b.disown(agent)
	b.println("Running on " + agent.Name() + " in " + agent.Workspace())
	fr.agent, fr.dir, fr.container = agent, agent.Workspace(), ""
	return r.body("node", body, "", fr, nil)
}

// interruptOf is why something ended early: the interruption if there was one, else the agent's own reason.
func interruptOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	return interrupted(err.Error())
}

func stepContainer(r *runner, c *call, fr frame) error {
	a := args(c, "name")
	name := required[string](a, "name")
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err, needAgent(c, fr)); err != nil {
		return err
	}
	fr.container = name
	r.begin(c)
	return r.body("container", body, "", fr, nil)
}

func stepDir(r *runner, c *call, fr frame) error {
	a := args(c, "path")
	rel := required[string](a, "path")
	body, err := bodyOf(c)
	if err := firstErr(a.done(), err, needAgent(c, fr)); err != nil {
		return err
	}
	if path.IsAbs(rel) {
		fr.dir = path.Clean(rel)
	} else {
		fr.dir = path.Join(fr.dir, rel)
	}
	r.begin(c)
	r.b.println("Running in " + fr.dir)
	return r.body("dir", body, "", fr, nil)
}

func needAgent(c *call, fr frame) error {
	if fr.agent != nil {
		return nil
	}
	return thrown("org.jenkinsci.plugins.workflow.steps.MissingContextVariableException",
		"Required context class hudson.FilePath is missing\nPerhaps you forgot to surround the %s step with a step that provides this, such as: node", c.name)
}

// stepSh runs a script as durable-task does: `sh -xe` on a file, or the file itself when it starts with "#!"; standard error is merged
// into the log.
func stepSh(r *runner, c *call, fr frame) (err error) {
	a := args(c, "script")
	cmd := Command{
		Script: required[string](a, "script"), Label: optional(a, "label", ""),
		Job: r.b.jobName, Build: r.b.number, Container: fr.container, Dir: fr.dir,
	}
	if err := firstErr(a.done(), noBody(c), needAgent(c, fr)); err != nil {
		return err
	}
	cmd.Env = r.environment(fr)
	n := r.leaf(c, fr, cmpOr(cmd.Label, cmd.Script))
	defer r.b.closeNode(n, &err)
	out := &lineWriter{b: r.b, node: n}
	cmd.Output = out

	type end struct {
		exit int
		err  error
	}
	ended := make(chan end, 1)
	ctx, cancel := context.WithCancelCause(fr.ctx)
	defer cancel(nil)
	r.s.wg.Go(func() {
		exit, err := fr.agent.Run(ctx, cmd)
		out.flush()
		ended <- end{exit, err}
	})
	var e end
	select {
	case e = <-ended:
	case <-r.b.term:
		return context.Cause(fr.ctx)
	case <-fr.ctx.Done():
		cause := context.Cause(fr.ctx)
		if errors.Is(cause, errKilled) || errors.Is(cause, errClosed) {
			return cause
		}
		r.b.printlnFor(n, "Sending interrupt signal to process")
		grace := r.s.clock.NewTimer(r.s.opts.StopGrace)
		defer grace.Stop()
		select {
		case <-ended:
		case <-r.b.term:
		case <-r.b.done:
		case <-grace.C():
			r.b.printlnFor(n, "After "+jenkinsDuration(r.s.opts.StopGrace)+" process did not stop")
		}
		return cause
	}
	switch {
	case fr.ctx.Err() != nil:
		return context.Cause(fr.ctx)
	case e.err != nil:
		return interruptOf(ctx, e.err)
	case e.exit != 0:
		return abort("script returned exit code %d", e.exit)
	}
	return nil
}

// environment is what Jenkins gives to a process on top of the container's own environment, each name once, in order of names.
func (r *runner) environment(fr frame) []string {
	b, root := r.b, r.s.opts.RootURL
	number := strconv.Itoa(b.number)
	env := map[string]string{
		"BUILD_NUMBER": number, "BUILD_ID": number, "BUILD_DISPLAY_NAME": "#" + number,
		"BUILD_TAG": "jenkins-" + strings.ReplaceAll(b.jobName, "/", "-") + "-" + number,
		"BUILD_URL": root + b.path(), "JOB_URL": root + b.jobPath, "RUN_DISPLAY_URL": root + b.path() + "display/redirect",
		"JOB_NAME": b.jobName, "JOB_BASE_NAME": path.Base(b.jobName), "JENKINS_URL": root, "HUDSON_URL": root,
		"NODE_NAME": fr.agent.Name(), "NODE_LABELS": fr.label, "POD_LABEL": fr.label,
		"WORKSPACE": fr.agent.Workspace(), "WORKSPACE_TMP": fr.agent.Workspace() + "@tmp", "CI": "true",
	}
	if fr.container != "" {
		env["POD_CONTAINER"] = fr.container
	}
	if fr.stage != nil && !fr.stage.branch {
		env["STAGE_NAME"] = fr.stage.name
	}
	for _, p := range b.params {
		env[p.name] = p.value
	}
	for _, o := range fr.env {
		override(env, o.name, expandMacros(o.value, env))
	}
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.SortFunc(list, cmp.Compare[string])
	return list
}

var macro = regexp.MustCompile(`\$([A-Za-z0-9_]+|\{[A-Za-z0-9_.]+\}|\$)`)

// expandMacros follows hudson.Util.replaceMacro, which every value of withEnv goes through: $$ is a dollar, and a variable that is not
// set stays as it is written.
func expandMacros(text string, env map[string]string) string {
	return macro.ReplaceAllStringFunc(text, func(m string) string {
		if m == "$$" {
			return "$"
		}
		if value, ok := env[strings.Trim(m[1:], "{}")]; ok {
			return value
		}
		return m
	})
}

// override follows hudson.EnvVars: an empty value unsets, PATH+X prepends to PATH.
func override(env map[string]string, name, value string) {
	base, _, plus := strings.Cut(name, "+")
	switch {
	case plus && base != "":
		if old, ok := env[base]; ok {
			value += ":" + old
		}
		env[base] = value
	case value == "":
		delete(env, name)
	default:
		env[name] = value
	}
}
