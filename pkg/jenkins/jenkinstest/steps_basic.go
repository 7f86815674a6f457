package jenkinstest

import (
	"context"
	"strings"
	"unicode"
)

func stepEcho(r *runner, c *call, fr frame) error {
	a := args(c, "message")
	message := required[string](a, "message")
	if err := firstErr(a.done(), noBody(c)); err != nil {
		return err
	}
	r.begin(c)
	r.b.println(message)
	return nil
}

func stepError(r *runner, c *call, fr frame) error {
	a := args(c, "message")
	message := required[string](a, "message")
	if err := firstErr(a.done(), noBody(c)); err != nil {
		return err
	}
	r.begin(c)
	return abort("%s", message)
}

// pendingInput is a question. answer is closed by whoever answers it, after err is set. Guarded by build.mu until then.
type pendingInput struct {
	id, message, ok string
	stage           *stageNode
	answer          chan struct{}
	err             error
}

func stepInput(r *runner, c *call, fr frame) error {
	a := args(c, "message")
	in := &pendingInput{
		message: required[string](a, "message"), id: optional(a, "id", ""), ok: optional(a, "ok", "Proceed"),
		stage: fr.stage, answer: make(chan struct{}),
	}
	_ = optional(a, "submitter", "")
	if err := firstErr(a.done(), noBody(c)); err != nil {
		return err
	}
	if in.id == "" {
		in.id = "Input" + strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return r
			}
			return -1
		}, in.message)
	}
	in.id = strings.ToUpper(in.id[:1]) + in.id[1:]
	r.begin(c)
	b := r.b
	b.mu.Lock()
	b.inputs = append(b.inputs, in)
	b.mu.Unlock()
	b.println(in.message)
	b.println(in.ok + " or Abort")
	select {
	case <-in.answer:
		return in.err
	case <-fr.ctx.Done():
		b.takeInput(in.id)
		return context.Cause(fr.ctx)
	}
}

// takeInput removes a pending input; nil when there is none of that id.
func (b *build) takeInput(id string) *pendingInput {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, in := range b.inputs {
		if in.id == id {
			b.inputs = append(b.inputs[:i:i], b.inputs[i+1:]...)
			return in
		}
	}
	return nil
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
