package controller

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/kube"
)

// eventTimeout bounds the write of one event: an event is a courtesy, never worth
// waiting for.
const eventTimeout = 10 * time.Second

// newRecorder records events of the objects of c's scheme, in the background, in the
// name of component. Equal ones are counted rather than repeated, and an object that
// has too many of them is cut off. It ends with ctx. (It is not in
// pkg/kube since tools/record brings OpenAPI and protobuf, which the plugin, too, would carry.)
func newRecorder(ctx context.Context, c *kube.Clients, component string) record.EventRecorder {
	b := record.NewBroadcaster(record.WithContext(ctx))
	b.StartRecordingToSink(eventSink{ctx, c})
	return b.NewRecorder(c.Scheme, corev1.EventSource{Component: component})
}

type eventSink struct {
	ctx     context.Context
	clients *kube.Clients
}

func (s eventSink) Create(e *corev1.Event) (*corev1.Event, error) {
	ctx, cancel := context.WithTimeout(s.ctx, eventTimeout)
	defer cancel()
	return s.clients.Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{})
}

func (s eventSink) Update(e *corev1.Event) (*corev1.Event, error) {
	ctx, cancel := context.WithTimeout(s.ctx, eventTimeout)
	defer cancel()
	return s.clients.Events(e.Namespace).Update(ctx, e, metav1.UpdateOptions{})
}

func (s eventSink) Patch(e *corev1.Event, data []byte) (*corev1.Event, error) {
	ctx, cancel := context.WithTimeout(s.ctx, eventTimeout)
	defer cancel()
	return s.clients.Events(e.Namespace).Patch(ctx, e.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{})
}
