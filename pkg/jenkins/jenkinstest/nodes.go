package jenkinstest

import (
	"slices"
	"time"
)

// flowNode is a step that does something itself, unlike those that surround others. Guarded by build.mu.
type flowNode struct {
	id, parent  int
	name        string // as people see it
	description string // its first argument
	stage       *stageNode
	exec        string // the agent it ran on
	start, end  time.Time
	err         error
	spans       [][2]int // what of the build's log it wrote, from and to
}

// stepNames is what Jenkins calls the steps on its pages.
var stepNames = map[string]string{
	"sh": "Shell Script", "echo": "Print Message", "error": "Error signal", "input": "Wait for interactive input",
}

const maxDescription = 1024 // a longer argument is not kept

// leaf writes a step into the log and remembers it. closeNode must follow.
func (r *runner) leaf(c *call, fr frame, description string) *flowNode {
	b := r.b
	id := b.nextNode()
	b.note(id, c.name)
	if len(description) > maxDescription {
		description = ""
	}
	n := &flowNode{id: id, parent: *fr.at, name: stepNames[c.name], description: description, stage: fr.stage, start: b.s.clock.Now()}
	if fr.agent != nil {
		n.exec = fr.agent.Name()
	}
	*fr.at = id
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, n)
	return n
}

func (b *build) closeNode(n *flowNode, err *error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n.end, n.err = b.s.clock.Now(), *err
}

// writeFor writes into the log on behalf of a step; nil is nobody's.
func (b *build) writeFor(n *flowNode, p []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || len(p) == 0 {
		return
	}
	from := len(b.log)
	b.log = append(b.log, p...)
	if n == nil {
		return
	}
	if last := len(n.spans) - 1; last >= 0 && n.spans[last][1] == from {
		n.spans[last][1] = len(b.log)
		return
	}
	n.spans = append(n.spans, [2]int{from, len(b.log)})
}

func (b *build) printlnFor(n *flowNode, text string) { b.writeFor(n, []byte(text+"\n")) }

// nodeLog is what a step wrote. Called with the mutex held.
func (b *build) nodeLog(n *flowNode) []byte {
	var text []byte
	for _, span := range n.spans {
		text = append(text, b.log[span[0]:span[1]]...)
	}
	return text
}

// findNode finds a step or a stage by its id. Called with the mutex held.
func (b *build) findNode(id int) (*flowNode, *stageNode) {
	if i := slices.IndexFunc(b.nodes, func(n *flowNode) bool { return n.id == id }); i >= 0 {
		return b.nodes[i], nil
	}
	var find func([]*stageNode) *stageNode
	find = func(stages []*stageNode) *stageNode {
		for _, st := range stages {
			if st.id == id {
				return st
			}
			if below := find(st.children); below != nil {
				return below
			}
		}
		return nil
	}
	return nil, find(b.tops)
}

// within tells whether a stage is in another, or is it.
func (st *stageNode) within(outer *stageNode) bool {
	for ; st != nil; st = st.parent {
		if st == outer {
			return true
		}
	}
	return false
}
