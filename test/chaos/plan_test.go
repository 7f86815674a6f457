package chaos

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPlan: a seed is a plan, and each plan has everything in it.
func TestPlan(t *testing.T) {
	outline := func(p plan) (lines []string) {
		for _, r := range p.runs {
			lines = append(lines, r.at.String()+" "+r.project+"/"+r.name)
		}
		for _, s := range p.faults {
			lines = append(lines, s.String()+" "+s.hold.String())
		}
		return lines
	}
	for _, short := range []bool{true, false} {
		for seed := range uint64(50) {
			p := newPlan(seed, 40, 30*time.Second, short)
			if diff := cmp.Diff(outline(p), outline(newPlan(seed, 40, 30*time.Second, short))); diff != "" {
				t.Fatalf("seed %d has two plans:\n%s", seed, diff)
			}
			if len(p.runs) != 40 {
				t.Errorf("seed %d: %d runs, want 40", seed, len(p.runs))
			}
			has := map[string]bool{}
			names := map[string]bool{}
			for _, r := range p.runs {
				has[r.kind.name] = true
				if names[r.project+"/"+r.name] {
					t.Errorf("seed %d: two runs are called %s", seed, r.name)
				}
				names[r.project+"/"+r.name] = true
			}
			for _, s := range p.faults {
				has[s.fault.name] = true
				if limit := p.length * 3 / 4; s.fault.hookd && s.at > limit {
					t.Errorf("seed %d: hookd is killed at %s, after %s", seed, s.at, limit)
				}
			}
			for _, k := range kinds() {
				if !has[k.name] && !(short && k.long) {
					t.Errorf("seed %d: no run is %s", seed, k.name)
				}
			}
			for _, f := range faults() {
				if !has[f.name] && (f.must || !short) {
					t.Errorf("seed %d: nowhere %s", seed, f.name)
				}
			}
		}
	}
}

func TestParseUsage(t *testing.T) {
	u, err := parseUsage(strings.NewReader("# HELP go_goroutines x\ngo_goroutines 42\nprocess_open_fds 1.2e+01\nother 1\n"))
	if err != nil || u != (usage{42, 12}) {
		t.Errorf("usage %s, error %v", u, err)
	}
	if _, err := parseUsage(strings.NewReader("go_goroutines 42\n")); err == nil {
		t.Error("metrics without open files are no usage")
	}
}
