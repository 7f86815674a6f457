package controller

import (
	"testing"
	"time"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/jenkins"
)

// TestConnectorForgetsProjects: clients of projects that nobody reads logs of any more are
// closed.
func TestConnectorForgetsProjects(t *testing.T) {
	c, now := NewConnector(nil), time.Now()
	for project, used := range map[string]time.Duration{"shop": connectedAge, "bank": time.Second} {
		client, err := jenkins.New(jenkins.Config{BaseURL: "http://jenkins"})
		if err != nil {
			t.Fatal(err)
		}
		c.known[project] = connected{"key", client, now.Add(-used)}
	}
	c.sweep(now)
	if _, kept := c.known["bank"]; len(c.known) != 1 || !kept {
		t.Errorf("known = %v, want bank alone", c.known)
	}
}
