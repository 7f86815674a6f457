// Package manifests holds the objects that a cluster needs to run pipelines: the six
// CustomResourceDefinitions, the roles, and hookd. `kubectl apply -k manifests` and
// `kubectl pipeline install` apply the same ones.
//
// It must not talk to a cluster, nor know how an object is applied. Start reading at
// [Objects]; the YAML files beside it are the content. crd/ and rbac/role.yaml are
// generated from the Go types and markers: never edit them.
package manifests

import (
	"bytes"
	"embed"
	"fmt"

	"sigs.k8s.io/yaml"
)

//go:embed namespace.yaml crd/*.yaml rbac/*.yaml hookd/*.yaml
var files embed.FS

const (
	// Namespace is where hookd runs when Options does not say.
	Namespace = "kubectl-pipeline"
	// Image is hookd's image when Options does not say.
	Image = "ghcr.io/kubectl-pipeline/hookd:latest"
)

// sources lists the files in the order to apply them: what others need comes first.
// It names the same files as the kustomizations; a test compares the two.
var sources = []string{
	"namespace.yaml",
	"crd/kubectl-pipeline.io_pipelineexecutions.yaml",
	"crd/kubectl-pipeline.io_pipelines.yaml",
	"crd/kubectl-pipeline.io_pipelinesettings.yaml",
	"crd/kubectl-pipeline.io_sourcecodecredentials.yaml",
	"crd/kubectl-pipeline.io_sourcecodeproviders.yaml",
	"crd/kubectl-pipeline.io_sourcecoderepositories.yaml",
	"rbac/service_account.yaml",
	"rbac/role.yaml",
	"rbac/role_binding.yaml",
	"rbac/leader_election.yaml",
	"rbac/user_roles.yaml",
	"rbac/log_reader.yaml",
	"hookd/services.yaml",
	"hookd/network_policy.yaml",
	"hookd/pod_disruption_budget.yaml",
	"hookd/deployment.yaml",
}

// Options changes what is installed. The zero value changes nothing.
type Options struct {
	// Namespace that hookd runs in. Default: [Namespace].
	Namespace string
	// Image of hookd. Default: [Image].
	Image string
	// Args are appended to hookd's arguments, such as --external-url=https://….
	Args []string
}

// Objects returns each object of an installation as a YAML document without
// separator, in the order to apply them: the namespace, the
// CustomResourceDefinitions (to be Established before objects of theirs are made),
// ServiceAccount and roles, and hookd last. The caller owns the bytes.
func Objects(o Options) ([][]byte, error) {
	var out [][]byte
	for _, name := range sources {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for doc := range bytes.SplitSeq(append([]byte("\n"), text...), []byte("\n---\n")) {
			if doc = bytes.TrimSpace(doc); len(doc) == 0 {
				continue
			}
			if doc, err = o.edit(doc); err != nil {
				return nil, fmt.Errorf("edit %s: %w", name, err)
			}
			out = append(out, append(doc, '\n'))
		}
	}
	return out, nil
}

// edit applies the options to one document. Documents that no option concerns are
// returned as they are, with their comments.
func (o Options) edit(doc []byte) ([]byte, error) {
	moved := o.Namespace != "" && o.Namespace != Namespace
	if !moved && (o.Image == "" || o.Image == Image) && len(o.Args) == 0 {
		return doc, nil
	}
	var obj map[string]any
	if err := yaml.Unmarshal(doc, &obj); err != nil {
		return nil, err
	}
	changed := false
	if moved {
		changed = o.move(obj)
	}
	if obj["kind"] == "Deployment" {
		container, err := onlyContainer(obj)
		if err != nil {
			return nil, err
		}
		if o.Image != "" {
			container["image"] = o.Image
		}
		args, _ := container["args"].([]any)
		for _, a := range o.Args {
			args = append(args, a)
		}
		container["args"] = args
		changed = true
	}
	if !changed {
		return doc, nil
	}
	return yaml.Marshal(obj)
}

// move puts an object, and the ServiceAccounts that it speaks of, into the namespace
// of the options. It tells whether there was anything to move.
func (o Options) move(obj map[string]any) (moved bool) {
	meta, _ := obj["metadata"].(map[string]any)
	if meta["namespace"] == Namespace {
		meta["namespace"], moved = o.Namespace, true
	}
	if obj["kind"] == "Namespace" {
		meta["name"], moved = o.Namespace, true
	}
	subjects, _ := obj["subjects"].([]any)
	for _, s := range subjects {
		if s, ok := s.(map[string]any); ok && s["namespace"] == Namespace {
			s["namespace"], moved = o.Namespace, true
		}
	}
	return moved
}

func onlyContainer(deployment map[string]any) (map[string]any, error) {
	var at any = deployment
	for _, field := range []string{"spec", "template", "spec"} {
		m, _ := at.(map[string]any)
		at = m[field]
	}
	m, _ := at.(map[string]any)
	if list, _ := m["containers"].([]any); len(list) == 1 {
		if container, ok := list[0].(map[string]any); ok {
			return container, nil
		}
	}
	return nil, fmt.Errorf("the Deployment has not exactly one container")
}
