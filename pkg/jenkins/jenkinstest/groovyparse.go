package jenkinstest

import (
	"fmt"
	"strconv"
)

// Grammar of the dialect:
//
//	script  = { method | guard | call } EOF
//	method  = "def" IDENT "(" ")" block
//	guard   = "if" "(" "env" "." "BUILD_NUMBER" "!=" STRING ")" block
//	block   = "{" { call } "}"
//	call    = IDENT [ "(" [ arg { "," arg } ] ")" ] [ block ]       at least one of the two
//	arg     = [ (IDENT | STRING) ":" ] value
//	value   = string | INT | "true" | "false" | list | block | IDENT | IDENT "(" ")"
//	list    = "[" [ string { "," string } | plain { "," plain } ] "]"
//	plain   = IDENT "(" arg { "," arg } ")"                             a parameter of input
//	string  = STRING { "+" STRING }
//
// A call ends at a line end or a closing brace, as in Groovy without semicolons.

type script struct {
	methods map[string]*block
	body    *block
}

type block struct {
	calls []*call
	line  int
}

type call struct {
	name      string
	args      []arg
	body      *block
	line, col int
}

// guardName is that of a guard among calls, which no step has: its one argument is what BUILD_NUMBER must be for its body to be left out.
const guardName = "if"

type arg struct {
	name  string // "" when positional
	value value
	line  int
	plus  int // how often "+" joined pieces of strings in it
}

// value is one of string, int, bool, []string, []*call (without bodies), *block, identRef, *call (without arguments).
type value any

type identRef string

const maxDepth = 100 // of blocks; Groovy itself overflows its stack somewhere beyond

type parser struct {
	toks  []token
	pos   int
	depth int
	plus  int // "+" seen so far
}

// parseScript compiles a Jenkinsfile. The error is a *syntaxError or a *codeTooLarge.
func parseScript(src string) (*script, error) {
	toks, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	s := &script{methods: map[string]*block{}, body: &block{line: 1}}
	for p.peek().kind != tokEOF {
		if err := p.topLevel(s); err != nil {
			return nil, err
		}
	}
	return s, s.checkSizes()
}

// CheckJenkinsfile compiles a script as the double would and reports the first error, without running anything.
func CheckJenkinsfile(src string) error {
	_, err := parseScript(src)
	return err
}

func (p *parser) topLevel(s *script) error {
	t := p.peek()
	if t.kind == tokIdent && t.text == guardName {
		c, err := p.guard()
		if err != nil {
			return err
		}
		s.body.calls = append(s.body.calls, c)
		return p.endOfCall()
	}
	if t.kind != tokIdent || t.text != "def" {
		c, err := p.call()
		if err != nil {
			return err
		}
		s.body.calls = append(s.body.calls, c)
		return p.endOfCall()
	}
	p.pos++
	name, err := p.want(tokIdent, "")
	if err != nil {
		return err
	}
	for _, punct := range []string{"(", ")"} {
		if _, err := p.want(tokPunct, punct); err != nil {
			return err
		}
	}
	if s.methods[name.text] != nil {
		return &syntaxError{name.line, name.col, "The method " + name.text + "() duplicates another method of the same signature."}
	}
	body, err := p.block()
	if err != nil {
		return err
	}
	s.methods[name.text] = body
	return p.endOfCall()
}

func (p *parser) guard() (*call, error) {
	c := &call{name: guardName, line: p.peek().line, col: p.peek().col}
	for _, want := range []token{
		{kind: tokIdent, text: guardName}, {kind: tokPunct, text: "("}, {kind: tokIdent, text: "env"}, {kind: tokPunct, text: "."},
		{kind: tokIdent, text: "BUILD_NUMBER"}, {kind: tokPunct, text: "!="},
	} {
		if _, err := p.want(want.kind, want.text); err != nil {
			return nil, err
		}
	}
	number, err := p.want(tokString, "")
	if err != nil {
		return nil, err
	}
	c.args = []arg{{value: number.text, line: number.line}}
	if _, err := p.want(tokPunct, ")"); err != nil {
		return nil, err
	}
	c.body, err = p.block()
	return c, err
}

func (p *parser) peek() token { return p.toks[p.pos] }

func (p *parser) isPunct(text string) bool {
	t := p.peek()
	return t.kind == tokPunct && t.text == text
}

func (p *parser) want(kind tokenKind, text string) (token, error) {
	t := p.peek()
	if t.kind != kind || text != "" && t.text != text {
		return t, unexpected(t)
	}
	p.pos++
	return t, nil
}

func unexpected(t token) error {
	return &syntaxError{t.line, t.col, fmt.Sprintf("unexpected token: %s", t)}
}

func (p *parser) endOfCall() error {
	if t := p.peek(); !t.newline && t.kind != tokEOF && !p.isPunct("}") {
		return unexpected(t)
	}
	return nil
}

func (p *parser) block() (*block, error) {
	open, err := p.want(tokPunct, "{")
	if err != nil {
		return nil, err
	}
	if p.depth++; p.depth > maxDepth {
		return nil, &syntaxError{open.line, open.col, "blocks are nested too deeply"}
	}
	defer func() { p.depth-- }()
	b := &block{line: open.line}
	for !p.isPunct("}") {
		c, err := p.call()
		if err != nil {
			return nil, err
		}
		b.calls = append(b.calls, c)
		if err := p.endOfCall(); err != nil {
			return nil, err
		}
	}
	p.pos++
	return b, nil
}

func (p *parser) call() (*call, error) {
	name, err := p.want(tokIdent, "")
	if err != nil {
		return nil, err
	}
	if reserved[name.text] {
		return nil, unexpected(name)
	}
	c := &call{name: name.text, line: name.line, col: name.col}
	parens := p.isPunct("(") && !p.peek().newline
	if parens {
		if c.args, err = p.args(); err != nil {
			return nil, err
		}
	}
	switch {
	case p.isPunct("{") && !p.peek().newline:
		c.body, err = p.block()
	case !parens:
		err = unexpected(p.peek())
	}
	return c, err
}

var reserved = map[string]bool{
	"def": true, "if": true, "else": true, "for": true, "while": true, "try": true, "catch": true, "return": true, "new": true,
	"import": true, "class": true, "true": true, "false": true, "null": true, "switch": true, "assert": true, "throw": true, "in": true,
}

func (p *parser) args() ([]arg, error) {
	p.pos++ // (
	var args []arg
	for !p.isPunct(")") {
		if len(args) > 0 {
			if _, err := p.want(tokPunct, ","); err != nil {
				return nil, err
			}
		}
		a, err := p.arg()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	p.pos++
	return args, nil
}

func (p *parser) arg() (arg, error) {
	t := p.peek()
	a := arg{line: t.line}
	if next := p.toks[min(p.pos+1, len(p.toks)-1)]; next.kind == tokPunct && next.text == ":" {
		if t.kind != tokIdent && t.kind != tokString {
			return a, unexpected(next)
		}
		a.name = t.text
		p.pos += 2
	}
	before := p.plus
	v, err := p.value()
	a.value, a.plus = v, p.plus-before
	return a, err
}

func (p *parser) value() (value, error) {
	t := p.peek()
	switch {
	case t.kind == tokString:
		return p.str()
	case t.kind == tokInt:
		p.pos++
		n, err := strconv.Atoi(t.text)
		return n, err
	case p.isPunct("["):
		return p.list()
	case p.isPunct("{"):
		return p.block()
	case t.kind != tokIdent:
		return nil, unexpected(t)
	case t.text == "true" || t.text == "false":
		p.pos++
		return t.text == "true", nil
	case reserved[t.text]:
		return nil, unexpected(t)
	}
	p.pos++
	if !p.isPunct("(") {
		return identRef(t.text), nil
	}
	p.pos++
	if _, err := p.want(tokPunct, ")"); err != nil {
		return nil, err
	}
	return &call{name: t.text, line: t.line, col: t.col}, nil
}

// str reads a string and what is added to it. A "+" continues it only on its own line, as in Groovy.
func (p *parser) str() (string, error) {
	t, err := p.want(tokString, "")
	if err != nil {
		return "", err
	}
	text := []byte(t.text)
	for p.isPunct("+") && !p.peek().newline {
		p.pos++
		p.plus++
		if t, err = p.want(tokString, ""); err != nil {
			return "", err
		}
		text = append(text, t.text...)
	}
	return string(text), nil
}

func (p *parser) list() (value, error) {
	p.pos++ // [
	strs, calls := []string{}, []*call(nil)
	for !p.isPunct("]") {
		if len(strs)+len(calls) > 0 {
			if _, err := p.want(tokPunct, ","); err != nil {
				return nil, err
			}
		}
		t := p.peek()
		if t.kind == tokIdent && len(strs) == 0 {
			c, err := p.call()
			switch {
			case err != nil:
				return nil, err
			case c.body != nil || len(c.args) == 0:
				return nil, unexpected(t)
			}
			calls = append(calls, c)
			continue
		}
		if len(calls) > 0 {
			return nil, unexpected(t)
		}
		s, err := p.str()
		if err != nil {
			return nil, err
		}
		strs = append(strs, s)
	}
	p.pos++
	if calls != nil {
		return calls, nil
	}
	return strs, nil
}

// compileReport is what Jenkins writes into the log of a build whose script does not compile.
func compileReport(err error) string {
	return "org.codehaus.groovy.control.MultipleCompilationErrorsException: startup failed:\n" + err.Error() + "\n\n1 error\n"
}
