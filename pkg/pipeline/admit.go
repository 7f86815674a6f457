package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// Contender is an execution that holds a slot of its project's quota or wants one.
type Contender struct {
	UID      string
	Name     string
	Created  time.Time
	Pipeline string
	// Line is what a newer run supersedes an older one of: a branch, a tag or a pull
	// request of one pipeline.
	Line string
	// Active: it holds a slot. A run that is being stopped still holds its own.
	Active bool
	// Stopping: it holds its slot no longer than it must.
	Stopping bool
	// Hold keeps one that waits out of the queue: a person paused it, or its last try
	// failed and the next is not due. It takes no slot from the ones behind it.
	Hold bool
}

// Admission is what Admit says of one execution.
type Admission struct {
	// Admitted: it may start, or already has.
	Admitted bool
	// Position in the project's queue, from 1; 0 for who does not wait.
	Position int
	// Reason and Message say what it waits for.
	Reason, Message string
	// SupersededBy names the newer run that replaces this one.
	SupersededBy string
}

// Admit decides who may run: first in, first out by creation time, then by name; at
// most quota at once (0: no limit); and within a pipeline as its concurrency policy
// says. One that waits for its own pipeline lets the ones behind it pass.
//
// Contenders may come in any order. policies are the concurrency of pipelines by name;
// one that is not there runs in parallel.
func Admit(quota int, contenders []Contender, policies map[string]v1alpha1.Concurrency) map[string]Admission {
	sorted := slices.Clone(contenders)
	slices.SortFunc(sorted, func(a, b Contender) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	out := make(map[string]Admission, len(sorted))
	newest := newestOf(sorted)
	active, ofPipeline := 0, map[string]int{}
	for _, c := range sorted {
		if !c.Active {
			continue
		}
		active++
		ofPipeline[c.Pipeline]++
		out[c.UID] = Admission{Admitted: true}
	}
	position := 0
	for _, c := range sorted {
		policy := policies[c.Pipeline]
		newer := newest[lineOf(c)]
		superseded := policy.Policy == v1alpha1.ConcurrencyCancelSuperseded && newer.UID != c.UID
		switch {
		case c.Active && superseded:
			out[c.UID] = Admission{Admitted: true, SupersededBy: newer.Name}
			continue
		case c.Active:
			continue
		case superseded:
			out[c.UID] = Admission{SupersededBy: newer.Name}
			continue
		case c.Hold:
			out[c.UID] = Admission{}
			continue
		}
		max := maxOf(policy)
		switch {
		case max > 0 && ofPipeline[c.Pipeline] >= max:
			position++
			out[c.UID] = Admission{Position: position, Reason: v1alpha1.ReasonWaitingForPipeline,
				Message: fmt.Sprintf("%d of at most %d runs of pipeline %s are active", ofPipeline[c.Pipeline], max, c.Pipeline)}
		case quota > 0 && active >= quota:
			position++
			out[c.UID] = Admission{Position: position, Reason: v1alpha1.ReasonWaitingForQuota,
				Message: fmt.Sprintf("%d of at most %d executions of the project are active", active, quota)}
		default:
			active++
			ofPipeline[c.Pipeline]++
			out[c.UID] = Admission{Admitted: true}
		}
	}
	return out
}

type line struct{ pipeline, line string }

func lineOf(c Contender) line { return line{c.Pipeline, c.Line} }

// newestOf finds the newest run of each line that can stand in for the older ones: not
// one that is held, since it may never start.
func newestOf(sorted []Contender) map[line]Contender {
	newest := map[line]Contender{}
	for _, c := range sorted {
		if _, ok := newest[lineOf(c)]; ok && (c.Hold || c.Stopping) {
			continue
		}
		newest[lineOf(c)] = c
	}
	return newest
}

func maxOf(c v1alpha1.Concurrency) int {
	switch {
	case c.Policy != v1alpha1.ConcurrencyQueue:
		return 0
	case c.Max != nil:
		return int(*c.Max)
	default:
		return 1
	}
}

// LineOf is what a newer run of the same pipeline supersedes an older one of: the ref
// where it is known, since pull requests to one branch are not each other's.
func LineOf(s *v1alpha1.Source) string {
	switch {
	case s == nil:
		return ""
	case s.PullRequest != nil:
		return fmt.Sprintf("pull/%d", s.PullRequest.Number)
	case s.Ref != "":
		return s.Ref
	case s.Tag != "":
		return "refs/tags/" + s.Tag
	default:
		return "refs/heads/" + s.Branch
	}
}
