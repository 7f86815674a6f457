package kube

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// What to accept to be sent metadata only: a finished execution carries its whole
// config, and there may be thousands.
const (
	acceptMetadata     = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	acceptMetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// ListMetadata reads the metadata of the objects that opts select.
func (r Resource[T, L]) ListMetadata(ctx context.Context, opts metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	out := &metav1.PartialObjectMetadataList{}
	return out, r.request(r.rest.Get()).SetHeader("Accept", acceptMetadataList).
		VersionedParams(&opts, r.params).Timeout(timeout(opts)).Do(ctx).Into(out)
}

// WatchMetadata streams changes as metadata of the objects that opts select.
func (r Resource[T, L]) WatchMetadata(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	opts.Watch = true
	return r.request(r.rest.Get()).SetHeader("Accept", acceptMetadata).
		VersionedParams(&opts, r.params).Timeout(timeout(opts)).Watch(ctx)
}
