package once

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// TestExactlyOnce kills hookd at each of its writes and at random. Every execution is
// one build and comes to its right end; nothing is left when it is deleted.
func TestExactlyOnce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("KUBECTL_PIPELINE_ONCE_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("KUBECTL_PIPELINE_ONCE_SEED=%s: %v", s, err)
		}
	}
	t.Logf("KUBECTL_PIPELINE_ONCE_SEED=%d", seed)
	size := short
	if os.Getenv("KUBECTL_PIPELINE_LONG") != "" {
		size = long
	}
	c := newCampaign(t, size, seed)
	c.phase("each write of a run", c.atEachWrite)
	c.phase("kills beside crashes of Jenkins", c.besideCrashes)
	c.phase("at random", c.atRandom)
	if c.size.halts {
		c.phase("a leader that is halted", c.halted)
	}
	c.phase("all end", c.settle)
	c.phase("a trigger that arrives late", c.lateTrigger)
	c.account()
	c.phase("each write of a deletion", c.deleteAll)
	c.phase("nothing is left", c.leftovers)
	c.watcher.report(t)
	c.triggers(t)
	c.summary()
}
