package jenkinstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// paramDef is a declared parameter, of a job or of an input step.
type paramDef struct {
	name, description, kind string // kind: one of paramKinds
	value                   string // default
	choices                 []string
	trim                    bool
}

// param is a value given to one.
type param struct{ name, value, kind string }

// fallback is the value that a parameter has when nobody gives one.
func (d paramDef) fallback() param {
	value := d.value
	switch {
	case d.kind == "Choice" && value == "" && len(d.choices) > 0:
		value = d.choices[0]
	case d.kind == "Boolean":
		value = fmt.Sprint(value == "true")
	}
	return param{d.name, value, d.kind}
}

// accept makes a value of text. A choice that is none is an IllegalArgumentException.
func (d paramDef) accept(text string) (param, error) {
	switch {
	case d.kind == "Boolean":
		text = fmt.Sprint(strings.EqualFold(text, "true"))
	case d.kind == "Choice" && !slices.Contains(d.choices, text):
		return param{}, fmt.Errorf("java.lang.IllegalArgumentException: Illegal choice for parameter %s: %s", d.name, text)
	case d.trim:
		text = strings.TrimSpace(text)
	}
	return param{d.name, text, d.kind}, nil
}

// submitted reads a form's field `json`, as Stapler's getSubmittedForm: {"parameter":[{"name":…,"value":…}]} or one object instead of
// the list. It answers 400 when there is no such field.
func submitted(w http.ResponseWriter, r *http.Request) (form submittedForm, ok bool) {
	text := r.FormValue("json")
	if text == "" {
		what := "Nothing is submitted"
		if len(r.Form) > 0 {
			what = "This page expects a form submission but had only other fields"
		}
		page(w, http.StatusBadRequest, "Error 400", what)
		return form, false
	}
	if err := json.Unmarshal([]byte(text), &form); err != nil {
		oops(w, "net.sf.json.JSONException: "+err.Error())
		return form, false
	}
	return form, true
}

type submittedForm struct {
	Parameter  oneOrMany
	StatusCode json.Number // text, too
	RedirectTo string
}

type oneOrMany []struct {
	Name  string
	Value any
}

func (o *oneOrMany) UnmarshalJSON(text []byte) error {
	type list oneOrMany
	if strings.HasPrefix(string(text), "{") {
		text = slices.Concat([]byte("["), text, []byte("]"))
	}
	return json.Unmarshal(text, (*list)(o))
}

// values matches a submitted form with declared parameters. Unlike buildWithParameters, a form must not name others, and what it does
// not give is not there at all.
func (o oneOrMany) values(defs []paramDef) ([]param, error) {
	var given []param
	for _, p := range o {
		i := slices.IndexFunc(defs, func(d paramDef) bool { return d.name == p.Name })
		if i < 0 {
			return nil, errors.New("java.lang.IllegalArgumentException: No such parameter definition: " + p.Name)
		}
		text := ""
		if p.Value != nil {
			text = fmt.Sprint(p.Value)
		}
		v, err := defs[i].accept(text)
		if err != nil {
			return nil, err
		}
		given = append(given, v)
	}
	return given, nil
}
