package kube

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Unreadable is told of an object that the API server has and we cannot decode, such as
// one with a quantity that its schema lets pass.
type Unreadable func(object *metav1.PartialObjectMetadata, err error)

// listReadable reads what List does, but without the objects that cannot be decoded: one
// of somebody's must not hide those of everybody.
func (r Resource[T, L]) listReadable(ctx context.Context, opts metav1.ListOptions, tell Unreadable) (L, error) {
	out := r.newList()
	answer := r.request(r.rest.Get()).VersionedParams(&opts, r.params).Timeout(timeout(opts)).Do(ctx)
	err := answer.Into(out)
	if err == nil || answer.Error() != nil {
		return out, err
	}
	raw, rawErr := answer.Raw()
	if rawErr != nil {
		return out, err
	}
	list, eachErr := r.decodeEach(raw, tell)
	if eachErr != nil {
		return out, fmt.Errorf("%w; nor object by object: %w", err, eachErr)
	}
	return list, nil
}

func (r Resource[T, L]) decodeEach(raw []byte, tell Unreadable) (L, error) {
	out := r.newList()
	var list struct {
		Metadata metav1.ListMeta   `json:"metadata"`
		Items    []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return out, fmt.Errorf("decode list: %w", err)
	}
	var objects []runtime.Object
	for _, item := range list.Items {
		obj := r.newObject()
		err := json.Unmarshal(item, obj)
		if err == nil {
			objects = append(objects, obj)
			continue
		}
		bad := &metav1.PartialObjectMetadata{}
		if nameless := json.Unmarshal(item, bad); nameless == nil && tell != nil {
			tell(bad, err)
		}
	}
	into, err := meta.ListAccessor(out)
	if err != nil {
		return out, err
	}
	into.SetResourceVersion(list.Metadata.ResourceVersion)
	into.SetContinue(list.Metadata.Continue)
	into.SetRemainingItemCount(list.Metadata.RemainingItemCount)
	return out, meta.SetList(out, objects)
}
