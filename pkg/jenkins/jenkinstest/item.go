package jenkinstest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// item is a job or a folder. All fields are guarded by Server.mu.
type item struct {
	name     string
	parent   *item
	config   string // as it was posted
	def      definition
	children map[string]*item // folders only; by lower-case name
	order    []string

	next     int // number of the next build
	builds   []*build
	leaving  int // items that left the queue and have no build yet
	deleting bool
}

// definition is what the double understands of a config.xml.
type definition struct {
	kind        string // class of the item
	description string
	script      string
	params      []param // declared, with default values
	exclusive   bool    // no concurrent builds
	disabled    bool
	hasScript   bool
}

type param struct{ name, value string }

const (
	classJob       = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
	classFreestyle = "hudson.model.FreeStyleProject"
	classFolder    = "com.cloudbees.hudson.plugins.folder.Folder"
)

var rootClasses = map[string]string{"flow-definition": classJob, "project": classFreestyle, classFolder: classFolder}

func (it *item) isFolder() bool { return it.children != nil }

func (it *item) child(name string) *item { return it.children[strings.ToLower(name)] }

func (it *item) addChild(c *item) {
	c.parent = it
	key := strings.ToLower(c.name)
	it.children[key] = c
	it.order = append(it.order, key)
}

func (it *item) removeChild(c *item) {
	key := strings.ToLower(c.name)
	if it.children[key] != c {
		return
	}
	delete(it.children, key)
	for i, k := range it.order {
		if k == key {
			it.order = append(it.order[:i:i], it.order[i+1:]...)
			return
		}
	}
}

// fullName is "folder/job"; the root's is "".
func (it *item) fullName() string {
	if it.parent == nil {
		return ""
	}
	if it.parent.parent == nil {
		return it.name
	}
	return it.parent.fullName() + "/" + it.name
}

// path is "job/folder/job/name/"; the root's is "".
func (it *item) path() string {
	if it.parent == nil {
		return ""
	}
	return it.parent.path() + "job/" + url.PathEscape(it.name) + "/"
}

func (it *item) findBuild(number int) *build {
	for _, b := range slices.Backward(it.builds) {
		if b.number == number {
			return b
		}
	}
	return nil
}

// walk visits the item and everything below it.
func (it *item) walk(visit func(*item)) {
	visit(it)
	for _, key := range it.order {
		it.children[key].walk(visit)
	}
}

// checkName is Jenkins' rule for names of items.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("No name is specified")
	case name == "." || name == "..":
		return fmt.Errorf("‘%s’ is not an allowed name", name)
	case strings.HasSuffix(name, "."):
		return errors.New("A name cannot end with ‘.’")
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return errors.New("No control characters are allowed")
		}
		if strings.ContainsRune(`?*/\%!@#$^&|<>[]:;`, r) {
			return fmt.Errorf("‘%c’ is an unsafe character", r)
		}
	}
	return nil
}

// parseConfig reads a config.xml. Unknown elements are dropped silently; an unknown root is an error, as in Jenkins.
func parseConfig(text string) (definition, error) {
	text = declaration.ReplaceAllString(text, "")
	dec := xml.NewDecoder(strings.NewReader(text))
	var def definition
	var path []string
	var p *param
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) && len(path) == 0 && def.kind != "" {
			return def, nil
		}
		if err != nil {
			return def, fmt.Errorf("parse config.xml: %w", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			path = append(path, tok.Name.Local)
			if len(path) == 1 {
				if def.kind = rootClasses[tok.Name.Local]; def.kind == "" {
					return def, fmt.Errorf("com.thoughtworks.xstream.mapper.CannotResolveClassException: %s", tok.Name.Local)
				}
			}
			def.open(strings.Join(path, "/"), &p)
		case xml.EndElement:
			if p != nil && strings.HasSuffix(tok.Name.Local, "ParameterDefinition") {
				def.params, p = append(def.params, *p), nil
			}
			path = path[:len(path)-1]
		case xml.CharData:
			if len(path) > 0 {
				def.text(strings.Join(path[1:], "/"), string(tok), p)
			}
		}
	}
}

var declaration = regexp.MustCompile(`^\s*<\?xml[^>]*\?>`)

func (d *definition) open(path string, p **param) {
	switch {
	case strings.HasSuffix(path, "DisableConcurrentBuildsJobProperty"):
		d.exclusive = true
	case strings.HasSuffix(path, "/script"):
		d.hasScript = true
	case strings.HasSuffix(path, "ParameterDefinition") && strings.Contains(path, "parameterDefinitions/"):
		*p = &param{}
	}
}

func (d *definition) text(path string, text string, p *param) {
	switch {
	case path == "description":
		d.description += text
	case path == "definition/script":
		d.script += text
	case path == "disabled":
		d.disabled = strings.TrimSpace(text) == "true"
	case p != nil && strings.HasSuffix(path, "ParameterDefinition/name"):
		p.name += text
	case p != nil && strings.HasSuffix(path, "ParameterDefinition/defaultValue"):
		p.value += text
	}
}

var rootElement = regexp.MustCompile(`<(flow-definition|project|com\.cloudbees\.hudson\.plugins\.folder\.Folder)\b[^>]*?(/?)>`)

// savedConfig is a config as Jenkins gives it back: XML 1.1, plugin versions added, quoting its own. Whoever compares texts fails.
func savedConfig(text string) string {
	text = declaration.ReplaceAllString(text, "")
	text = rootElement.ReplaceAllString(text, `<$1 plugin="double@1.0"$2>`)
	text = strings.NewReplacer("&#xA;", "\n", "&#x9;", "\t", "&#39;", "&apos;", "&#34;", "&quot;").Replace(text)
	return `<?xml version="1.1" encoding="UTF-8"?>` + "\n" + strings.TrimLeft(text, "\r\n")
}
