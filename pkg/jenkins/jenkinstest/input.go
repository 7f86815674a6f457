package jenkinstest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// pendingInput is a question. Guarded by build.mu; answer is closed by whoever answers, after err is set.
type pendingInput struct {
	id, message, ok string
	submitters      []string // who alone may answer; none: whoever may build
	params          []paramDef
	stage           *stageNode
	since           time.Time
	answer          chan struct{}
	err             error

	settled bool
	by      string
	values  map[string]any // by name; nil for what was not given
}

// InputInfo is a question that a build asked, as tests see it.
type InputInfo struct {
	ID, Message string
	Settled     bool
	Approved    bool
	By          string
	Values      map[string]any // of each parameter; nil when nobody gave one: Jenkins does not apply defaults
}

func (in *pendingInput) info() InputInfo {
	return InputInfo{in.id, in.message, in.settled, in.settled && in.err == nil, in.by, in.values}
}

// inputParams are the steps that declare parameters of a question.
var inputParams = map[string]string{"string": "String", "text": "Text", "booleanParam": "Boolean", "choice": "Choice", "password": "Password"}

func paramsOf(a *arguments, calls []*call) (defs []paramDef) {
	for _, c := range calls {
		b := args(c, "")
		d := paramDef{kind: inputParams[c.name], name: required[string](b, "name"), description: optional(b, "description", "")}
		switch d.kind {
		case "":
			a.fail("unknown parameter type %s", c.name)
		case "Choice":
			d.choices = required[[]string](b, "choices")
		case "Boolean":
			d.value = fmt.Sprint(optional(b, "defaultValue", false))
		default:
			d.value, d.trim = optional(b, "defaultValue", ""), optional(b, "trim", false)
		}
		if err := b.done(); err != nil && a.err == nil {
			a.err = err
		}
		defs = append(defs, d)
	}
	return defs
}

func stepInput(r *runner, c *call, fr frame) (err error) {
	a := args(c, "message")
	in := &pendingInput{
		message: required[string](a, "message"), id: optional(a, "id", ""), ok: optional(a, "ok", "Proceed"),
		params: paramsOf(a, optional(a, "parameters", []*call(nil))), stage: fr.stage, answer: make(chan struct{}), since: r.s.clock.Now(),
	}
	for name := range strings.SplitSeq(optional(a, "submitter", ""), ",") {
		if name = strings.TrimSpace(name); name != "" {
			in.submitters = append(in.submitters, name)
		}
	}
	if in.id = inputID(in.id, in.message); strings.ContainsFunc(in.id, unsafeInID) {
		a.fail("InputStep id is required to be URL safe, but the provided id %s is not safe", in.id)
	}
	if err := firstErr(a.done(), noBody(c)); err != nil {
		return err
	}
	n := r.leaf(c, fr, in.message)
	defer r.b.closeNode(n, &err)
	b := r.b
	b.mu.Lock()
	b.inputs = append(b.inputs, in)
	b.asked = append(b.asked, in)
	b.mu.Unlock()
	if len(in.params) > 0 {
		b.printlnFor(n, "Input requested")
	} else {
		b.printlnFor(n, in.message)
		b.printlnFor(n, in.ok+" or Abort")
	}
	select {
	case <-in.answer:
		return in.err
	case <-fr.ctx.Done():
		b.settle(in, "", context.Cause(fr.ctx), nil)
		b.forgetInput(in)
		return context.Cause(fr.ctx)
	}
}

// inputID is Jenkins' rule: the given id with its first letter upper-cased, else made of the message.
func inputID(id, message string) string {
	if id == "" {
		id = "Input" + strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return -1
		}, message)
	}
	first, rest := id[:1], id[1:]
	return strings.ToUpper(first) + rest
}

func unsafeInID(r rune) bool {
	return r <= ' ' || strings.ContainsRune(`<>"#%{}|\^~[]`+"`"+`;/?:@=&`, r)
}

// settle answers a question; false when somebody did before.
func (b *build) settle(in *pendingInput, by string, err error, values map[string]any) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if in.settled {
		return false
	}
	in.settled, in.by, in.err, in.values = true, by, err, values
	b.pauses = append(b.pauses, pause{in.stage, b.s.clock.Now().Sub(in.since)})
	close(in.answer)
	return true
}

// pause is a time that a stage waited for people.
type pause struct {
	stage *stageNode
	d     time.Duration
}

// pausedFor is how long a stage, or with nil the build, has waited for people. Called with the mutex held.
func (b *build) pausedFor(st *stageNode) int64 {
	var d time.Duration
	for _, p := range b.pauses {
		if st == nil || p.stage.within(st) {
			d += p.d
		}
	}
	for _, in := range b.inputs {
		if !in.settled && (st == nil || in.stage.within(st)) {
			d += b.s.clock.Now().Sub(in.since)
		}
	}
	return d.Milliseconds()
}

// openInputs are the questions that wait for an answer. Called with the mutex held.
func (b *build) openInputs() []*pendingInput {
	return slices.DeleteFunc(slices.Clone(b.inputs), func(in *pendingInput) bool { return in.settled })
}

func (b *build) findInput(id string) *pendingInput {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, in := range b.inputs {
		if in.id == id {
			return in
		}
	}
	return nil
}

func (b *build) forgetInput(in *pendingInput) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.inputs = slices.DeleteFunc(b.inputs, func(other *pendingInput) bool { return other == in })
}

// valuesOf gives each declared parameter the value that was sent, or nil.
func (in *pendingInput) valuesOf(given []param) map[string]any {
	values := map[string]any{}
	for _, d := range in.params {
		values[d.name] = nil
	}
	for _, p := range given {
		values[p.name] = p.value
		if p.kind == "Boolean" {
			values[p.name] = p.value == "true"
		}
	}
	return values
}

// submittedTo reads what a form says about a question's parameters; without the field `json` it says nothing.
func (in *pendingInput) submittedTo(text string) ([]param, error) {
	var form submittedForm
	if err := json.Unmarshal([]byte(text), &form); err != nil {
		return nil, fmt.Errorf("net.sf.json.JSONException: %w", err)
	}
	return form.Parameter.values(in.params)
}
