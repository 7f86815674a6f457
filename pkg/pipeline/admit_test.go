package pipeline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

func TestAdmit(t *testing.T) {
	// A line is "name pipeline line flags", in the order of creation. Flags: a active,
	// h held, s stopping, = created at the same time as the one before.
	parse := func(lines ...string) []Contender {
		var out []Contender
		created := noon
		for _, l := range lines {
			f := append(strings.Fields(l), "")
			if !strings.Contains(f[3], "=") {
				created = created.Add(time.Second)
			}
			out = append(out, Contender{UID: f[0], Name: f[0], Created: created, Pipeline: f[1], Line: f[2],
				Active: strings.Contains(f[3], "a"), Hold: strings.Contains(f[3], "h"), Stopping: strings.Contains(f[3], "s")})
		}
		return out
	}
	two := int32(2)
	tests := map[string]struct {
		quota    int
		given    []Contender
		policies map[string]v1alpha1.Concurrency
		want     string // "name: admitted | position reason | superseded by", in the order given
	}{
		"first in, first out": {
			quota: 2, given: parse("a app main", "b app main", "c app main", "d app main"),
			want: "a: admitted\nb: admitted\nc: 1 WaitingForQuota\nd: 2 WaitingForQuota",
		},
		"equal times go by name": {
			quota: 1, given: parse("b app main", "a app main ="),
			want: "b: 1 WaitingForQuota\na: admitted",
		},
		"an active one keeps its slot, though it is younger": {
			quota: 1, given: parse("a app main", "b app main a"),
			want: "a: 1 WaitingForQuota\nb: admitted",
		},
		"a quota that shrank ends nobody": {
			quota: 1, given: parse("a app main a", "b app main a", "c app main"),
			want: "a: admitted\nb: admitted\nc: 1 WaitingForQuota",
		},
		"no quota is no limit": {
			given: parse("a app main", "b app main", "c app main"),
			want:  "a: admitted\nb: admitted\nc: admitted",
		},
		"one that is held takes no slot and no place": {
			quota: 1, given: parse("a app main h", "b app main", "c app main"),
			want: "a: 0 \nb: admitted\nc: 1 WaitingForQuota",
		},
		"one that is being stopped still holds its slot": {
			quota: 1, given: parse("a app main as", "b app main"),
			want: "a: admitted\nb: 1 WaitingForQuota",
		},
		"a pipeline's own limit lets others pass": {
			quota: 2, given: parse("a app main a", "b app main", "c lib main"),
			policies: map[string]v1alpha1.Concurrency{"app": {Policy: v1alpha1.ConcurrencyQueue}},
			want:     "a: admitted\nb: 1 WaitingForPipeline\nc: admitted",
		},
		"a pipeline's limit may be higher than one": {
			given:    parse("a app main", "b app main", "c app main"),
			policies: map[string]v1alpha1.Concurrency{"app": {Policy: v1alpha1.ConcurrencyQueue, Max: &two}},
			want:     "a: admitted\nb: admitted\nc: 1 WaitingForPipeline",
		},
		"a newer run of a branch replaces the older ones, active and queued": {
			quota: 1, given: parse("a app main a", "b app main", "c app main"),
			policies: map[string]v1alpha1.Concurrency{"app": {Policy: v1alpha1.ConcurrencyCancelSuperseded}},
			want:     "a: admitted superseded by c\nb: superseded by c\nc: 1 WaitingForQuota",
		},
		"another branch or another pipeline is not replaced": {
			given:    parse("a app main a", "b app dev", "c lib main"),
			policies: map[string]v1alpha1.Concurrency{"app": {Policy: v1alpha1.ConcurrencyCancelSuperseded}},
			want:     "a: admitted\nb: admitted\nc: admitted",
		},
		"one that is held or stopped replaces nobody": {
			given:    parse("a app main a", "b app main h", "c app main s"),
			policies: map[string]v1alpha1.Concurrency{"app": {Policy: v1alpha1.ConcurrencyCancelSuperseded}},
			want:     "a: admitted\nb: superseded by a\nc: superseded by a",
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var lines []string
			got := Admit(tc.quota, tc.given, tc.policies)
			for _, c := range tc.given {
				lines = append(lines, c.Name+": "+describe(got[c.UID]))
			}
			if diff := cmp.Diff(tc.want, strings.Join(lines, "\n")); diff != "" {
				t.Errorf("admissions (-want +got):\n%s", diff)
			}
		})
	}
}

func describe(a Admission) string {
	var parts []string
	if a.Admitted {
		parts = append(parts, "admitted")
	}
	if a.SupersededBy != "" {
		parts = append(parts, "superseded by "+a.SupersededBy)
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%d %s", a.Position, a.Reason)
	}
	return strings.Join(parts, " ")
}

// TestAdmitKeepsTheQuota: whatever the order in which executions come and go, no more
// than the quota are admitted, and nobody waits while there is a slot.
func TestAdmitKeepsTheQuota(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []Contender
	for round := range 2000 {
		switch {
		case rnd.IntN(3) > 0 || len(all) == 0:
			name := fmt.Sprintf("e%d", round)
			all = append(all, Contender{UID: name, Name: name, Created: noon.Add(time.Duration(rnd.IntN(1000)) * time.Second), Pipeline: "app", Hold: rnd.IntN(10) == 0})
		default:
			i := rnd.IntN(len(all))
			all = append(all[:i], all[i+1:]...)
		}
		got := Admit(5, all, nil)
		active, waiting := 0, 0
		for i, c := range all {
			if got[c.UID].Admitted {
				active++
				all[i].Active = true
			} else if !c.Hold {
				waiting++
			}
		}
		if active > 5 || waiting > 0 && active < 5 {
			t.Fatalf("round %d: %d active and %d waiting of a quota of 5", round, active, waiting)
		}
	}
}

func TestLineOf(t *testing.T) {
	for want, s := range map[string]*v1alpha1.Source{
		"":                nil,
		"refs/heads/main": {Branch: "main"},
		"refs/tags/v1":    {Tag: "v1"},
		"refs/heads/dev":  {Ref: "refs/heads/dev", Branch: "dev"},
		"pull/7":          {Ref: "refs/pull/7/head", Branch: "main", PullRequest: &v1alpha1.PullRequest{Number: 7}},
	} {
		if got := LineOf(s); got != want {
			t.Errorf("LineOf(%+v) = %q, want %q", s, got, want)
		}
	}
}
