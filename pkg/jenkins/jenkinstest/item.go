package jenkinstest

import (
	"errors"
	"fmt"
	"net/url"
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
	gone     bool // deleted: nothing of it starts any more

	credentials []*credential // folders, and the root
}

// definition is what the double understands of a config.xml.
type definition struct {
	kind          string // class of the item
	description   string
	flow          bool // it has a Pipeline script
	script        string
	sandbox       bool
	params        []paramDef
	exclusive     bool // no concurrent builds
	abortPrevious bool // a new one ends the older
	disabled      bool
	hint          string // durability
	noResume      bool   // disableResume()
}

const (
	classJob       = "org.jenkinsci.plugins.workflow.job.WorkflowJob"
	classFreestyle = "hudson.model.FreeStyleProject"
	classFlow      = "org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition"
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
	c.walk(func(below *item) { below.gone = true })
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
	switch trimmed := strings.TrimSpace(name); {
	case trimmed == "":
		return errors.New("No name is specified")
	case trimmed == "." || trimmed == "..":
		return fmt.Errorf("‘%s’ is not an allowed name", name)
	case strings.HasSuffix(name, "."):
		return errors.New("A name cannot end with ‘.’")
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return fmt.Errorf("No control characters are allowed in ‘%s’", strings.Map(printable, name))
		}
		if strings.ContainsRune(`?*/\%!@#$^&|<>[]:;`, r) {
			return fmt.Errorf("‘%c’ is an unsafe character", r)
		}
	}
	return nil
}

func printable(r rune) rune {
	if r < 0x20 || r == 0x7f {
		return '?'
	}
	return r
}
