package jenkinstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// object is something Jenkins exports. Values are computed only when they are asked for, so that a narrow `tree` is cheap here too.
type object struct {
	class  string
	fields []field
}

type field struct {
	name  string
	brief bool // shown where the object is only referred to
	value func() any
}

func (o *object) add(name string, value func() any) {
	o.fields = append(o.fields, field{name, false, value})
}
func (o *object) ref(name string, value func() any) {
	o.fields = append(o.fields, field{name, true, value})
}

// list is a sequence of objects, made one by one, so that a range like {0,3} costs three.
type list struct {
	n  int
	at func(i int) *object
}

// treeNode is one parsed level of ?tree=. A node without children lets nothing of an object through but its class.
type treeNode struct {
	children map[string]*treeNode
	from, to int // of a list; to < 0: all
}

// parseTree reads a,b[c,d[e]]{m,n}. "{n}" is the n-th element, "{m,}" and "{,n}" are open ranges.
func parseTree(s string) (*treeNode, error) {
	root := &treeNode{to: -1}
	rest, err := parseTreeList(root, s, 0)
	if err == nil && rest != "" {
		err = fmt.Errorf("unexpected %q in tree", rest)
	}
	return root, err
}

func parseTreeList(into *treeNode, s string, depth int) (string, error) {
	if depth > 50 {
		return s, fmt.Errorf("tree is too deep")
	}
	into.children = map[string]*treeNode{}
	for {
		n := strings.IndexAny(s, "[]{},")
		if n < 0 {
			n = len(s)
		}
		name := strings.TrimSpace(s[:n])
		if name == "" {
			return s, fmt.Errorf("missing name in tree before %q", s)
		}
		node := &treeNode{to: -1}
		into.children[name] = node
		s = s[n:]
		var err error
		if strings.HasPrefix(s, "[") {
			if s, err = parseTreeList(node, s[1:], depth+1); err != nil {
				return s, err
			}
			if !strings.HasPrefix(s, "]") {
				return s, fmt.Errorf("missing ] in tree")
			}
			s = s[1:]
		}
		if strings.HasPrefix(s, "{") {
			if s, err = node.parseRange(s[1:]); err != nil {
				return s, err
			}
		}
		if !strings.HasPrefix(s, ",") {
			return s, nil
		}
		s = s[1:]
	}
}

func (t *treeNode) parseRange(s string) (string, error) {
	text, rest, ok := strings.Cut(s, "}")
	if !ok {
		return s, fmt.Errorf("missing } in tree")
	}
	lo, hi, comma := strings.Cut(text, ",")
	var err error
	if lo = strings.TrimSpace(lo); lo != "" {
		if t.from, err = strconv.Atoi(lo); err != nil || t.from < 0 {
			return s, fmt.Errorf("bad range {%s} in tree", text)
		}
	}
	switch hi = strings.TrimSpace(hi); {
	case !comma:
		t.to = t.from + 1
	case hi != "":
		if t.to, err = strconv.Atoi(hi); err != nil || t.to < 0 {
			return s, fmt.Errorf("bad range {%s} in tree", text)
		}
	}
	return rest, nil
}

// render makes what json.Marshal wants. Without a tree, depth says how far referred objects are shown whole.
func render(v any, t *treeNode, depth int) any {
	switch v := v.(type) {
	case *object:
		if v == nil {
			return nil
		}
		return v.render(t, depth)
	case list:
		from, to := 0, v.n
		if t != nil {
			from = min(t.from, v.n)
			if t.to >= 0 {
				to = max(from, min(t.to, v.n))
			}
		}
		out := make([]any, 0, to-from)
		for i := from; i < to; i++ {
			out = append(out, render(v.at(i), t, depth))
		}
		return out
	}
	return v
}

func (o *object) render(t *treeNode, depth int) any {
	out := map[string]any{}
	if o.class != "" {
		out["_class"] = o.class
	}
	for _, f := range o.fields {
		switch {
		case t == nil:
			if depth >= 0 || f.brief {
				out[f.name] = render(f.value(), nil, depth-1)
			}
		case t.children[f.name] != nil:
			out[f.name] = render(f.value(), t.children[f.name], 0)
		case t.children["*"] != nil:
			out[f.name] = render(f.value(), t.children["*"], 0)
		}
	}
	return out
}

// serveObject answers .../api/json. The object is made and read with the server's lock held, and sent without it: a client that
// reads slowly must not hold up the others.
func (s *Server) serveObject(w http.ResponseWriter, r *http.Request, make func() *object) {
	s.mu.Lock()
	o := make()
	var body []byte
	err := errNoObject
	if o != nil {
		body, err = marshalObject(r, o)
	}
	s.mu.Unlock()
	switch {
	case o == nil:
		notFound(w)
	case err != nil:
		oops(w, err.Error())
	default:
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		_, _ = w.Write(body)
	}
}

var errNoObject = errors.New("no object")

func marshalObject(r *http.Request, o *object) ([]byte, error) {
	var t *treeNode
	if q := r.URL.Query().Get("tree"); q != "" {
		var err error
		if t, err = parseTree(q); err != nil {
			return nil, err
		}
	}
	depth, _ := strconv.Atoi(r.URL.Query().Get("depth"))
	doc := render(o, t, min(depth, 10))
	if r.URL.Query().Get("pretty") == "true" {
		return json.MarshalIndent(doc, "", "  ")
	}
	return json.Marshal(doc)
}

// serveJSON answers what is no exported object: the plugins' own endpoints.
func serveJSON(w http.ResponseWriter, v any) { serveJSONStatus(w, http.StatusOK, v) }

func serveJSONStatus(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		oops(w, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
