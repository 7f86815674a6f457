package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// deletions notices finished executions that are being deleted. They are in no cache, so
// that memory does not grow with history: their metadata passes by and only what is
// being deleted is kept, until it is.
type deletions struct {
	*shared
	found  func(types.NamespacedName)
	passBy func(*metav1.PartialObjectMetadata) // is shown each of them once in a while
}

const (
	deletionPage  = 500
	deletionRetry = 5 * time.Second
	// shortWatch is what something between us and the API server has cut off.
	shortWatch = time.Second
)

var errShortWatch = errors.New("it ended as soon as it had begun")

func newDeletions(s *shared, found func(types.NamespacedName), passBy func(*metav1.PartialObjectMetadata)) *deletions {
	return &deletions{s, found, passBy}
}

func (d *deletions) run(ctx context.Context) error {
	for ctx.Err() == nil {
		version, err := d.list(ctx)
		for err == nil && ctx.Err() == nil {
			begin := d.o.Clock.Now()
			if version, err = d.watch(ctx, version); err == nil && d.o.Clock.Since(begin) < shortWatch {
				err = errShortWatch // or it would be asked for again without a pause
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			d.o.Log.Warn("watch of finished executions broke", "error", err)
		}
		timer := d.o.Clock.NewTimer(deletionRetry)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C():
		}
	}
	return nil
}

func (d *deletions) options() metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: v1alpha1.LabelPhaseClass + "=" + v1alpha1.PhaseClassFinished}
}

// list passes all of them by once, page by page, and gives the version to watch from.
func (d *deletions) list(ctx context.Context) (version string, err error) {
	opts := d.options()
	opts.Limit = deletionPage
	for {
		page, err := d.o.Clients.Executions("").ListMetadata(ctx, opts)
		if err != nil {
			return "", fmt.Errorf("list finished executions: %w", err)
		}
		for i := range page.Items {
			d.see(&page.Items[i])
			d.passBy(&page.Items[i])
		}
		version = page.ResourceVersion
		if opts.Continue = page.Continue; opts.Continue == "" {
			return version, nil
		}
	}
}

// watch passes changes by until the server ends the stream, and gives the version to go
// on from.
func (d *deletions) watch(ctx context.Context, version string) (string, error) {
	opts := d.options()
	opts.ResourceVersion, opts.AllowWatchBookmarks = version, true
	w, err := d.o.Clients.Executions("").WatchMetadata(ctx, opts)
	if err != nil {
		return "", fmt.Errorf("watch finished executions: %w", err)
	}
	defer w.Stop()
	for ev := range w.ResultChan() {
		m, ok := ev.Object.(*metav1.PartialObjectMetadata)
		switch {
		case ev.Type == watch.Error:
			return "", apierrors.FromObject(ev.Object)
		case ok && ev.Type != watch.Bookmark && ev.Type != watch.Deleted:
			d.see(m)
		}
		if ok && m.ResourceVersion != "" {
			version = m.ResourceVersion
		}
	}
	return version, nil
}

func (d *deletions) see(m *metav1.PartialObjectMetadata) {
	if m.DeletionTimestamp != nil {
		d.found(types.NamespacedName{Namespace: m.Namespace, Name: m.Name})
	}
}
