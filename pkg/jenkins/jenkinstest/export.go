package jenkinstest

import (
	"slices"
	"strconv"
	"strings"
)

// The objects of stapler's api/json. They are made and rendered with the server's lock held; see serveObject.

func (s *Server) rootObject(user string) *object {
	o := &object{class: "hudson.model.Hudson"}
	o.add("mode", func() any { return "NORMAL" })
	o.add("nodeDescription", func() any { return "the Jenkins controller's built-in node" })
	o.add("nodeName", func() any { return "" })
	o.add("numExecutors", func() any { return 0 })
	o.add("jobs", func() any { return s.childList(s.root, user) })
	o.add("quietDownReason", func() any { return nil })
	o.add("quietingDown", func() any { return s.quiet })
	o.add("slaveAgentPort", func() any { return 50000 })
	o.add("url", func() any { return s.opts.RootURL })
	o.add("useCrumbs", func() any { return s.opts.Crumbs })
	o.add("useSecurity", func() any { return len(s.accounts) > 0 })
	o.add("views", func() any { return []any{} })
	o.add("primaryView", func() any { return map[string]any{} })
	return o
}

func (s *Server) childList(it *item, user string) list {
	order := it.order
	if len(s.denials) > 0 {
		order = slices.DeleteFunc(slices.Clone(order), func(key string) bool { return !s.sees(it.children[key], user) })
	}
	return list{len(order), func(i int) *object { return s.itemObject(it.children[order[i]], user) }}
}

func (s *Server) itemObject(it *item, user string) *object {
	o := &object{class: it.def.kind}
	o.ref("name", func() any { return it.name })
	o.ref("url", func() any { return s.opts.RootURL + it.path() })
	o.add("fullName", func() any { return it.fullName() })
	o.add("displayName", func() any { return it.name })
	o.add("fullDisplayName", func() any { return strings.ReplaceAll(it.fullName(), "/", " » ") })
	o.add("description", func() any { return it.def.description })
	if it.isFolder() {
		o.add("jobs", func() any { return s.childList(it, user) })
		o.add("views", func() any { return []any{} })
		return o
	}
	newest := func(limit int) list {
		return list{min(len(it.builds), limit), func(i int) *object { return s.buildObject(it.builds[len(it.builds)-1-i]) }}
	}
	o.ref("color", func() any { return color(it) })
	o.add("buildable", func() any { return !it.def.disabled })
	o.add("disabled", func() any { return it.def.disabled })
	o.add("inQueue", func() any { return len(s.queueOf(it)) > 0 })
	o.add("keepDependencies", func() any { return false })
	o.add("concurrentBuild", func() any { return !it.def.exclusive })
	o.add("nextBuildNumber", func() any { return it.next })
	o.add("queueItem", func() any {
		if q := s.queueOf(it); len(q) > 0 {
			return s.queueObject(q[0])
		}
		return nil
	})
	o.add("builds", func() any { return newest(defaultListed) })
	if len(it.builds) > 0 {
		o.add("allBuilds", func() any { return newest(len(it.builds)) })
	}
	o.add("firstBuild", func() any {
		if len(it.builds) == 0 {
			return nil
		}
		return s.buildObject(it.builds[0])
	})
	for _, permalink := range permalinks {
		o.add(permalink, func() any {
			if b := s.buildNamed(it, permalink); b != nil {
				return s.buildObject(b)
			}
			return nil
		})
	}
	o.add("property", func() any {
		p := &object{class: "hudson.model.ParametersDefinitionProperty"}
		p.ref("parameterDefinitions", func() any {
			return list{len(it.def.params), func(i int) *object { return paramDefObject(it.def.params[i]) }}
		})
		return list{min(len(it.def.params), 1), func(int) *object { return p }}
	})
	return o
}

func paramDefObject(def paramDef) *object {
	d := &object{class: "hudson.model." + def.kind + "ParameterDefinition"}
	d.ref("name", func() any { return def.name })
	d.ref("type", func() any { return def.kind + "ParameterDefinition" })
	d.ref("description", func() any { return def.description })
	d.ref("defaultParameterValue", func() any { return paramObject(def.fallback()) })
	if def.kind == "Choice" {
		d.ref("choices", func() any { return def.choices })
	}
	return d
}

func color(it *item) string {
	if it.def.disabled {
		return "disabled"
	}
	if len(it.builds) == 0 {
		return "notbuilt"
	}
	b := it.builds[len(it.builds)-1]
	b.mu.Lock()
	defer b.mu.Unlock()
	c := map[string]string{"SUCCESS": "blue", "UNSTABLE": "yellow", "FAILURE": "red", "ABORTED": "aborted"}[b.result]
	if c == "" {
		c = "notbuilt"
	}
	if !b.over {
		c += "_anime"
	}
	return c
}

func paramObject(p param) *object {
	kind := p.kind
	if kind == "Choice" {
		kind = "String"
	}
	o := &object{class: "hudson.model." + kind + "ParameterValue"}
	o.ref("name", func() any { return p.name })
	switch kind {
	case "Password": // never shown
	case "Boolean":
		o.ref("value", func() any { return p.value == "true" })
	default:
		o.ref("value", func() any { return p.value })
	}
	return o
}

func actionList(params []param, user string) list {
	return list{3, func(i int) *object {
		switch i {
		case 0:
			o := &object{class: "hudson.model.CauseAction"}
			o.ref("causes", func() any {
				return list{1, func(int) *object {
					c := &object{class: "hudson.model.Cause$UserIdCause"}
					c.ref("shortDescription", func() any { return "Started by user " + user })
					c.ref("userId", func() any { return user })
					c.ref("userName", func() any { return user })
					return c
				}}
			})
			return o
		case 1:
			if len(params) > 0 {
				o := &object{class: "hudson.model.ParametersAction"}
				o.ref("parameters", func() any {
					return list{len(params), func(i int) *object { return paramObject(params[i]) }}
				})
				return o
			}
		}
		return &object{}
	}}
}

func (s *Server) buildObject(b *build) *object {
	b.mu.Lock()
	result, over, end, description, keep := b.result, b.over, b.end, b.description, b.keep
	b.mu.Unlock()
	number := strconv.Itoa(b.number)
	o := &object{class: strings.Replace(b.job.def.kind, "WorkflowJob", "WorkflowRun", 1)}
	o.ref("number", func() any { return b.number })
	o.ref("url", func() any { return s.opts.RootURL + b.path() })
	o.add("actions", func() any { return actionList(b.params, b.user) })
	o.add("artifacts", func() any { return []any{} })
	o.add("building", func() any { return !over })
	o.add("inProgress", func() any { return !over })
	o.add("description", func() any { return orNil(description) })
	o.add("displayName", func() any { return "#" + number })
	o.add("fullDisplayName", func() any { return strings.ReplaceAll(b.jobName, "/", " » ") + " #" + number })
	o.add("duration", func() any {
		if !over {
			return 0
		}
		return end.Sub(b.start).Milliseconds()
	})
	o.add("estimatedDuration", func() any { return -1 })
	o.add("executor", func() any { return nil })
	o.add("id", func() any { return number })
	o.add("keepLog", func() any { return keep })
	o.add("queueId", func() any { return b.queueID })
	o.add("result", func() any { return orNil(result) })
	o.add("timestamp", func() any { return b.start.UnixMilli() })
	o.add("changeSets", func() any { return []any{} })
	o.add("culprits", func() any { return []any{} })
	o.add("nextBuild", func() any { return s.neighbour(b, 1) })
	o.add("previousBuild", func() any { return s.neighbour(b, -1) })
	return o
}

// neighbour is the build before or after, as a reference.
func (s *Server) neighbour(b *build, step int) any {
	i := slices.Index(b.job.builds, b)
	if i < 0 || i+step < 0 || i+step >= len(b.job.builds) {
		return nil
	}
	other := b.job.builds[i+step]
	o := &object{}
	o.ref("number", func() any { return other.number })
	o.ref("url", func() any { return s.opts.RootURL + other.path() })
	return o
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}
