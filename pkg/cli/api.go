package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// The plural names of the kinds that are read and written here. They are compiled in,
// so that every command is as few requests as it looks: discovery costs two and more.
const (
	pipelinesResource    = "pipelines"
	executionsResource   = "pipelineexecutions"
	repositoriesResource = "sourcecoderepositories"
)

// fieldManager owns the fields that the plugin writes.
const fieldManager = "kubectl-pipeline"

// pageSize bounds one answer of the API server: 500 is what kubectl asks for.
const pageSize = 500

// object is one answer of the API server: typed for our own use, and as it came for
// -o, so that fields that a newer server has are not lost in printing.
type object[T any] struct {
	v   *T
	raw []byte
}

func decode[T any](raw []byte) (object[T], error) {
	o := object[T]{v: new(T), raw: raw}
	if err := json.Unmarshal(raw, o.v); err != nil {
		return o, fmt.Errorf("decode the API server's answer: %w", err)
	}
	return o, nil
}

// wrap is an object that no API server has seen yet.
func wrap[T any](t *T) (object[T], error) {
	raw, err := json.Marshal(t)
	return object[T]{v: t, raw: raw}, err
}

func (o object[T]) unstructured() (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(o.raw); err != nil {
		return nil, fmt.Errorf("decode for printing: %w", err)
	}
	return u, nil
}

func do[T any](ctx context.Context, req *rest.Request) (object[T], error) {
	raw, err := rawDo(ctx, req)
	if err != nil {
		return object[T]{}, err
	}
	return decode[T](raw)
}

func rawDo(ctx context.Context, req *rest.Request) ([]byte, error) {
	res := req.Do(ctx)
	// Error, unlike Raw, turns the body of a failed request into a typed error.
	if err := res.Error(); err != nil {
		return nil, err
	}
	return res.Raw()
}

func get[T any](ctx context.Context, p *project, resource, name string) (object[T], error) {
	return do[T](ctx, p.PipelineREST().Get().Namespace(p.namespace).Resource(resource).Name(name))
}

// selection narrows a list on the server's side.
type selection struct {
	allNamespaces bool
	labels        string
	limit         int64 // of one page; 0 is pageSize
	onePage       bool
}

// list reads all pages unless one is wanted.
func list[T any](ctx context.Context, p *project, resource string, sel selection) ([]object[T], error) {
	var out []object[T]
	limit := sel.limit
	if limit == 0 {
		limit = pageSize
	}
	for next := ""; ; {
		req := p.PipelineREST().Get().NamespaceIfScoped(p.namespace, !sel.allNamespaces).Resource(resource).
			Param("limit", strconv.FormatInt(limit, 10))
		if sel.labels != "" {
			req = req.Param("labelSelector", sel.labels)
		}
		if next != "" {
			req = req.Param("continue", next)
		}
		raw, err := rawDo(ctx, req)
		if err != nil {
			return nil, err
		}
		var page struct {
			metav1.ListMeta `json:"metadata"`
			Items           []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, fmt.Errorf("decode the list of %s: %w", resource, err)
		}
		for _, item := range page.Items {
			o, err := decode[T](item)
			if err != nil {
				return nil, err
			}
			out = append(out, o)
		}
		if next = page.Continue; next == "" || sel.onePage {
			return out, nil
		}
	}
}

// create stores an object; with dryRun the API server only says what it would store.
func create[T any](ctx context.Context, p *project, resource string, o object[T], dryRun bool) (object[T], error) {
	req := p.PipelineREST().Post().Namespace(p.namespace).Resource(resource).
		Param("fieldManager", fieldManager).Param("fieldValidation", metav1.FieldValidationStrict).Body(o.raw)
	if dryRun {
		req = req.Param("dryRun", metav1.DryRunAll)
	}
	return do[T](ctx, req)
}

func mergePatch[T any](ctx context.Context, p *project, resource, name, patch string) (object[T], error) {
	return do[T](ctx, p.PipelineREST().Patch(types.MergePatchType).Namespace(p.namespace).Resource(resource).Name(name).
		Param("fieldManager", fieldManager).Body([]byte(patch)))
}

// userName is who the API server takes us for; it keeps nobody waiting.
func (p *project) userName(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, userNameTimeout)
	defer cancel()
	raw, err := rawDo(ctx, p.CoreREST().Post().AbsPath("/apis/authentication.k8s.io/v1/selfsubjectreviews").
		Body([]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)))
	if err != nil {
		return p.user
	}
	var review struct {
		Status struct {
			UserInfo struct {
				Username string `json:"username"`
			} `json:"userInfo"`
		} `json:"status"`
	}
	if json.Unmarshal(raw, &review) != nil || review.Status.UserInfo.Username == "" {
		return p.user
	}
	return review.Status.UserInfo.Username
}

type (
	pipelineObject  = object[v1alpha1.Pipeline]
	executionObject = object[v1alpha1.PipelineExecution]
)
