package jenkinstest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The answers to an input step:
//
//	input/ID/proceedEmpty, abort          200, or 400 and X-Error
//	input/ID/proceed      form json=…     the same
//	input/ID/submit       proceed=…, json=…, or neither to abort: 302 to the console
//	wfapi/inputSubmit     ?inputId=ID, form json=…: 200 and null, or 500

// routeInput answers input/ID/….
func (s *Server) routeInput(w http.ResponseWriter, r *http.Request, b *build, id, verb, user string) {
	if !slices.Contains([]string{"proceedEmpty", "proceed", "abort", "submit"}, verb) {
		notFound(w)
		return
	}
	in := b.findInput(id)
	if in == nil {
		notFound(w)
		return
	}
	if !post(w, r) {
		return
	}
	proceeds := verb == "proceedEmpty" || verb == "proceed" || verb == "submit" && r.FormValue("proceed") != ""
	if problem := s.mayAnswer(b, in, user, proceeds); problem != "" {
		xError(w, problem)
		return
	}
	var given []param
	if proceeds && verb != "proceedEmpty" {
		text := r.FormValue("json")
		if text == "" {
			submitted(w, r)
			return
		}
		var err error
		if given, err = in.submittedTo(text); err != nil {
			oops(w, err.Error())
			return
		}
	}
	if !s.answer(b, in, user, proceeds, given) {
		xError(w, alreadyGiven)
		return
	}
	if verb == "submit" {
		redirect(w, s.absolute(r, b.path()+"console"))
	}
}

const alreadyGiven = "This input has been already given"

// mayAnswer says why a user may not answer a question, "" when they may.
func (s *Server) mayAnswer(b *build, in *pendingInput, user string, proceeds bool) string {
	s.mu.Lock()
	builds, cancels, secured := s.has(b.job, user, PermBuild), s.has(b.job, user, PermCancel), len(s.accounts) > 0
	s.mu.Unlock()
	b.mu.Lock()
	settled := in.settled
	b.mu.Unlock()
	submits := builds
	if len(in.submitters) > 0 {
		submits = !secured || slices.Contains(in.submitters, user)
	}
	who := strings.Join(in.submitters, ",")
	switch {
	case settled:
		return alreadyGiven
	case proceeds && !submits && who != "":
		return "You need to be " + who + " to submit this."
	case proceeds && !submits:
		return "You need to have Job BUILD permissions to submit this."
	case !proceeds && !submits && !cancels && who != "":
		return "You need to be '" + who + "' to cancel this."
	case !proceeds && !submits && !cancels:
		return "You need to have Job CANCEL permissions to cancel this."
	}
	return ""
}

// answer settles a question. Jenkins lists it for a moment longer: Options.InputTick.
func (s *Server) answer(b *build, in *pendingInput, user string, proceeds bool, given []param) bool {
	var err error
	if !proceeds {
		err = interrupted("Rejected by " + user)
	}
	if proceeds && user != anonymous {
		b.println("Approved by " + user)
	}
	if !b.settle(in, user, err, in.valuesOf(given)) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.InputTick <= 0 {
		b.forgetInput(in)
	} else {
		s.after(s.opts.InputTick, func() { b.forgetInput(in) })
	}
	return true
}

// submitInput answers POST wfapi/inputSubmit?inputId=ID. Whatever goes wrong is a ServletException.
func (s *Server) submitInput(w http.ResponseWriter, r *http.Request, b *build, user string) {
	if !post(w, r) {
		return
	}
	fail := func(format string, args ...any) {
		oops(w, "jakarta.servlet.ServletException: Error processing Input Submit request. "+fmt.Sprintf(format, args...))
	}
	id := r.FormValue("inputId")
	in := b.findInput(id)
	if in == nil {
		fail("This Run instance does not have an Input with an ID of '%s'.", id)
		return
	}
	if problem := s.mayAnswer(b, in, user, true); problem != "" {
		fail("%s", problem)
		return
	}
	given, err := in.submittedTo(r.FormValue("json"))
	switch {
	case err != nil:
		fail("%v", err)
	case !s.answer(b, in, user, true, given):
		fail("%s", alreadyGiven)
	default:
		serveJSON(w, nil)
	}
}

func (s *Server) inputActions(b *build) []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	self := s.opts.ContextPath + "/" + b.path()
	all := []any{}
	for _, in := range b.openInputs() {
		inputs := []any{}
		for _, d := range in.params {
			definition := map[string]any{"defaultVal": d.fallback().value}
			if d.kind == "Boolean" {
				definition["defaultVal"] = d.value == "true"
			}
			if d.kind == "Choice" {
				definition = map[string]any{"choices": d.choices}
			}
			inputs = append(inputs, map[string]any{
				"type": d.kind + "ParameterDefinition", "name": d.name, "description": d.description, "definition": definition,
			})
		}
		all = append(all, map[string]any{
			"id": in.id, "proceedText": in.ok, "message": in.message, "inputs": inputs,
			"proceedUrl": self + "wfapi/inputSubmit?inputId=" + in.id, "abortUrl": self + "input/" + in.id + "/abort",
			"redirectApprovalUrl": self + "input/",
		})
	}
	return all
}
