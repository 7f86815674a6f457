package jenkinstest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// parseConfig reads a config.xml. Unknown elements are dropped silently; an unknown root is an error, as in Jenkins.
func parseConfig(text string) (definition, error) {
	var def definition
	var p *paramDef
	err := parseXML(text, func(path []string, class string) error {
		if len(path) == 1 {
			if def.kind = rootClasses[path[0]]; def.kind == "" {
				return fmt.Errorf("com.thoughtworks.xstream.mapper.CannotResolveClassException: %s", path[0])
			}
		}
		def.open(path, class, &p)
		return nil
	}, func(path []string, text string) {
		def.text(strings.Join(path[1:], "/"), text, p)
	}, func(path []string) {
		if p != nil && paramKind(path) != "" {
			def.params, p = append(def.params, *p), nil
		}
	})
	return def, err
}

var (
	declaration  = regexp.MustCompile(`^\s*<\?xml[^>]*\?>`)
	version11    = regexp.MustCompile(`version\s*=\s*['"]1\.1['"]`)
	controlChars = regexp.MustCompile(`&#(x0*1?[0-9a-fA-F]|0*[12]?[0-9]|0*3[01]);`)
)

// stowed holds a control character while encoding/xml, which knows version 1.0 alone, reads a text of version 1.1: only there may
// references to them stand. The range is for private use and ends beyond what people use.
const stowed = 0x10FF00

// parseXML walks a document of version 1.0 or 1.1. class is the attribute of that name.
func parseXML(text string, open func(path []string, class string) error, data func(path []string, text string), closed func(path []string)) error {
	decl := declaration.FindString(text)
	text = text[len(decl):]
	if version11.MatchString(decl) {
		text = controlChars.ReplaceAllStringFunc(text, stow)
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	var path []string
	roots := 0
	for {
		tok, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && len(path) == 0 && roots == 1:
			return nil
		case err != nil:
			return fmt.Errorf("parse XML: %w", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if len(path) == 0 {
				roots++
			}
			path = append(path, tok.Name.Local)
			class := ""
			for _, a := range tok.Attr {
				if a.Name.Local == "class" {
					class = a.Value
				}
			}
			if err := open(path, class); err != nil {
				return err
			}
		case xml.EndElement:
			closed(path)
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) > 0 {
				data(path, unstow(string(tok)))
			}
		}
	}
}

func stow(ref string) string {
	var r rune
	format := "&#%d;"
	if ref[2] == 'x' {
		format = "&#x%x;"
	}
	if _, err := fmt.Sscanf(ref, format, &r); err != nil || r == 0 || r == '\t' || r == '\n' || r == '\r' {
		return ref // NUL is an error in every version
	}
	return string(rune(stowed + r))
}

func unstow(text string) string {
	return strings.Map(func(r rune) rune {
		if r > stowed && r < stowed+0x20 {
			return r - stowed
		}
		return r
	}, text)
}

// paramKinds are the classes of parameters that the double has plugins for; XStream drops others from the list.
var paramKinds = []string{"String", "Text", "Boolean", "Choice", "Password"}

// paramKind is "String" for …/parameterDefinitions/hudson.model.StringParameterDefinition, "" for what is no parameter.
func paramKind(path []string) string {
	if len(path) < 2 || path[len(path)-2] != "parameterDefinitions" {
		return ""
	}
	kind, ok := strings.CutPrefix(strings.TrimSuffix(path[len(path)-1], "ParameterDefinition"), "hudson.model.")
	if !ok || !slices.Contains(paramKinds, kind) {
		return ""
	}
	return kind
}

func (d *definition) open(path []string, class string, p **paramDef) {
	switch last := path[len(path)-1]; {
	case last == "definition" && len(path) == 2:
		d.flow = class == classFlow // another class, or one that no plugin brings, is loaded as null
	case strings.HasSuffix(last, "DisableConcurrentBuildsJobProperty"):
		d.exclusive = true
	case strings.HasSuffix(last, "DisableResumeJobProperty"):
		d.noResume = true
	case *p != nil && last == "string":
		(*p).choices = append((*p).choices, "")
	case paramKind(path) != "":
		*p = &paramDef{kind: paramKind(path)}
	}
}

func (d *definition) text(path string, text string, p *paramDef) {
	switch {
	case path == "description":
		d.description += text
	case path == "definition/script" && d.flow:
		d.script += text
	case path == "definition/sandbox" && d.flow:
		d.sandbox = strings.TrimSpace(text) == "true"
	case strings.HasSuffix(path, "DisableConcurrentBuildsJobProperty/abortPrevious"):
		d.abortPrevious = strings.TrimSpace(text) == "true"
	case path == "disabled":
		d.disabled = strings.TrimSpace(text) == "true"
	case strings.HasSuffix(path, "DurabilityHintJobProperty/hint"):
		d.hint += strings.TrimSpace(text)
	case p == nil:
	case strings.HasSuffix(path, "ParameterDefinition/name"):
		p.name += text
	case strings.HasSuffix(path, "ParameterDefinition/defaultValue"):
		p.value += text
	case strings.HasSuffix(path, "ParameterDefinition/trim"):
		p.trim = strings.TrimSpace(text) == "true"
	case strings.HasSuffix(path, "/string") && len(p.choices) > 0:
		p.choices[len(p.choices)-1] += text
	}
}

var (
	rootElement = regexp.MustCompile(`<(flow-definition|project|com\.cloudbees\.hudson\.plugins\.folder\.Folder)\b[^>]*?(/?)>`)
	encrypted   = regexp.MustCompile(`\{[A-Za-z0-9+/]{30,}={0,2}\}`)
	disabledTag = regexp.MustCompile(`<disabled>[^<]*</disabled>|<disabled/>`)
)

// savedConfig is a config as Jenkins gives it back: XML 1.1, plugin versions added, quoting its own. Whoever compares texts fails.
func savedConfig(text string) string {
	text = declaration.ReplaceAllString(text, "")
	text = rootElement.ReplaceAllString(text, `<$1 plugin="double@1.0"$2>`)
	text = strings.NewReplacer("&#xA;", "\n", "&#x9;", "\t", "&#39;", "&apos;", "&#34;", "&quot;").Replace(text)
	return `<?xml version="1.1" encoding="UTF-8"?>` + "\n" + strings.TrimLeft(text, "\r\n")
}

// setDisabled changes a job as enable and disable do: in the config, too.
func (it *item) setDisabled(disabled bool) {
	it.def.disabled = disabled
	tag := fmt.Sprintf("<disabled>%t</disabled>", disabled)
	if disabledTag.MatchString(it.config) {
		it.config = disabledTag.ReplaceAllLiteralString(it.config, tag)
		return
	}
	if i := strings.LastIndex(it.config, "</"); i >= 0 {
		it.config = it.config[:i] + tag + it.config[i:]
	}
}
