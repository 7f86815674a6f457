package jenkinstest

import (
	"fmt"
	"maps"
	"slices"
)

// A method of a class file holds at most 65,535 bytes of code. Jenkins turns each method of a script, and the part outside of methods, into
// one method that builds its syntax tree by calls of a Builder; a closure belongs to the method around it. The sizes below approximate
// that code. They were measured: Groovy 2.4.21, which is Jenkins' own, compiled methods full of such calls, as groovy-cps' CpsTransformer
// makes them, until one was too large. What was compiled are those calls as source text, not the output of the transformer itself: a
// script near the limit may be taken here and refused there, or the other way round.
//
//	b.constant('x')                                                              15 bytes
//	b.functionCall(7, b.javaThis_(), b.constant('f'), false)                     49
//	…, b.map(b.constant('k'), b.constant('x'))                                   41: 10 and two constants
//	…, b.closure(7, [Object], ['it'], b.block())                                 53
//	b.plus(7, b.constant('x'), b.constant('y'))                                  46: 16 and two constants
//	b.list(…)                                                                    13 and its elements
const (
	maxMethodCode = 65535

	codeOfMethod  = 60
	codeOfLiteral = 15
	codeOfCall    = 49
	codeOfMap     = 10
	codeOfClosure = 53
	codeOfPlus    = 16
	codeOfList    = 13
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
		n += c.codeSize()
	}
	return n
}

func (c *call) codeSize() int {
	n := codeOfCall
	named := false
	for _, a := range c.args {
		if a.name != "" {
			named = true
			n += codeOfLiteral
		}
		n += codeOfValue(a.value) + a.plus*(codeOfPlus+codeOfLiteral)
	}
	if named {
		n += codeOfMap
	}
	if c.body != nil {
		n += codeOfClosure + c.body.codeOfBody()
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
		return codeOfList + len(v)*codeOfLiteral
	case []*call:
		n := codeOfList
		for _, c := range v {
			n += c.codeSize()
		}
		return n
	}
	return codeOfLiteral
}
