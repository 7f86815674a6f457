package jenkinstest

import (
	"fmt"
	"maps"
	"slices"
)

// A method of a class file holds at most 65,535 bytes of code. Jenkins turns each method of a script, and the part outside of methods, into
// one method that builds its syntax tree by calls of a Builder; a closure belongs to the method around it. The sizes below approximate
// that code: what Groovy 2.4 emits for a dynamic call (array of call sites, index, receiver, invokeinterface: 13 bytes), a constant
// (3) and a list (7 per element), times the calls that groovy-cps' CpsTransformer makes of each construct. They were counted by hand, not
// measured with Jenkins: a script near the limit may be taken here and refused there, or the other way round.
const (
	maxMethodCode = 65535

	codeOfMethod  = 60 // new Builder, its location, new CpsFunction
	codeOfCall    = 61 // functionCall, javaThis_, constant of the name, location, safe
	codeOfLiteral = 16 // constant
	codeOfClosure = 75 // closure, its lists of parameters, location, block
	codeOfMap     = 20 // of named arguments
	codeOfPlus    = 22 // of two pieces of a string
	codeOfList    = 20
	codeOfElement = 7
)

// checkSizes compiles, as far as the limit goes. The error is a *syntaxError.
func (s *script) checkSizes() error {
	for _, name := range slices.Sorted(maps.Keys(s.methods)) {
		if s.methods[name].codeSize() > maxMethodCode {
			return tooLarge(name)
		}
	}
	if s.body.codeSize() > maxMethodCode {
		return tooLarge("run")
	}
	return nil
}

// codeTooLarge is an error of class generation: it has no place in the source.
type codeTooLarge struct{ method string }

func tooLarge(method string) error { return &codeTooLarge{method} }

func (e *codeTooLarge) Error() string {
	return "General error during class generation: Method code too large!\n\njava.lang.RuntimeException: Method code too large!\n" +
		"\tat groovyjarjarasm.asm.MethodWriter.a(Unknown Source)\n\tat " + fmt.Sprintf("WorkflowScript.%s(WorkflowScript)", e.method)
}

func (bl *block) codeSize() int { return codeOfMethod + bl.codeOfBody() }

func (bl *block) codeOfBody() int {
	n := 0
	for _, c := range bl.calls {
		n += codeOfElement + c.codeSize()
	}
	return n
}

func (c *call) codeSize() int {
	n := codeOfCall
	named := false
	for _, a := range c.args {
		if a.name != "" {
			named = true
			n += codeOfElement + codeOfLiteral
		}
		n += codeOfElement + codeOfValue(a.value) + a.plus*(codeOfPlus+codeOfLiteral)
	}
	if named {
		n += codeOfMap
	}
	if c.body != nil {
		n += codeOfElement + codeOfClosure + c.body.codeOfBody()
	}
	return n
}

func codeOfValue(v value) int {
	switch v := v.(type) {
	case *block:
		return codeOfClosure + v.codeOfBody()
	case *call:
		return v.codeSize()
	case []string:
		return codeOfList + len(v)*(codeOfElement+codeOfLiteral)
	case []*call:
		n := codeOfList
		for _, c := range v {
			n += codeOfElement + c.codeSize()
		}
		return n
	}
	return codeOfLiteral
}
