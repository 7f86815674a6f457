package controller

import (
	"context"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// TestLetGoOnce: what the cache still has of an execution that was let go is not cleaned up
// once more, when nobody would clean up after that.
func TestLetGoOnce(t *testing.T) {
	clients, err := kube.NewClients(&rest.Config{Host: "http://nobody.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{Clients: clients}).executions
	now := metav1.Now()
	e := &v1alpha1.PipelineExecution{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a", UID: "u", DeletionTimestamp: &now, Finalizers: []string{v1alpha1.Finalizer}}}
	e.Status.Engine = &v1alpha1.EngineStatus{Job: "shop/a"}
	if err := c.executionCache.GetStore().Add(e); err != nil {
		t.Fatal(err)
	}
	c.letGo(e)
	if got := c.cleanUp(context.Background(), e); got != (Done{}) {
		t.Errorf("cleanUp of a stale copy: %v", got)
	}
	c.outOfCache(e.UID)
	other := e.DeepCopy()
	other.UID = "made anew"
	c.letGo(other)
	if len(c.gone) != 0 {
		t.Errorf("kept in mind: %v", c.gone)
	}
}
