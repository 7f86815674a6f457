package pipeline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// containerKind is what steps must have in common to share a container.
type containerKind struct {
	image  string
	env    []corev1.EnvVar // the same for all steps
	own    []corev1.EnvVar // of the steps of this kind
	mounts []corev1.VolumeMount
}

type plannedContainer struct {
	kind  containerKind
	name  string
	uses  []containerUse
	total corev1.ResourceRequirements
}

type containerUse struct {
	stage     int
	resources corev1.ResourceRequirements
}

// containers are the agent's containers in the order of their first use.
type containers struct {
	list  []*plannedContainer
	byKey map[string]*plannedContainer
	names map[string]bool
}

// add returns the name of the container of a kind, which is made when there is none yet. The name is the wish, with a number when it
// is taken.
func (c *containers) add(kind containerKind, wish string, stage int, resources corev1.ResourceRequirements) string {
	key := wish + "\x00" + kind.key()
	if c.byKey == nil {
		c.byKey, c.names = map[string]*plannedContainer{}, map[string]bool{agentContainer: true}
	}
	pc := c.byKey[key]
	if pc == nil {
		name := wish
		for n := 2; c.names[name] || name == cloneContainer && len(c.list) > 0; n++ {
			suffix := fmt.Sprintf("-%d", n)
			name = v1alpha1.Truncate(wish, 63-len(suffix)) + suffix
		}
		pc = &plannedContainer{kind: kind, name: name}
		c.byKey[key], c.names[name] = pc, true
		c.list = append(c.list, pc)
	}
	pc.uses = append(pc.uses, containerUse{stage, resources})
	return pc.name
}

func (k containerKind) key() string {
	text, err := json.Marshal([]any{k.image, k.own, k.mounts})
	if err != nil {
		panic(err) // strings and numbers only
	}
	return string(text)
}

// bytes is how many bytes of the agent pod the containers' variables need at least. They are counted before the pod is made: a copy for
// each container may be gigabytes.
func (c *containers) bytes() int {
	n := 0
	for _, pc := range c.list {
		for _, env := range [][]corev1.EnvVar{pc.kind.env, pc.kind.own} {
			for _, e := range env {
				n += len(e.Name) + len(e.Value)
			}
		}
	}
	return n
}

// mergeResources gives each container what its busiest stage needs. In one stage the requests of its steps add up, since they run at
// once. A limit adds up the same way, but one step without a limit leaves its container without: it must not be held to what another
// step asked for.
func (c *containers) mergeResources() {
	for _, pc := range c.list {
		byStage := map[int][]corev1.ResourceRequirements{}
		for _, u := range pc.uses {
			byStage[u.stage] = append(byStage[u.stage], u.resources)
		}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			var request, limit *resource.Quantity
			unlimited := false
			for _, steps := range byStage {
				var r, l resource.Quantity
				for _, s := range steps {
					q, limited := s.Limits[name]
					unlimited = unlimited || !limited
					l.Add(q)
					if req, ok := s.Requests[name]; ok {
						r.Add(req)
					} else {
						r.Add(q) // as Kubernetes does: a limit without a request is the request too
					}
				}
				request, limit = larger(request, r), larger(limit, l)
			}
			if request != nil && !request.IsZero() {
				setResource(&pc.total.Requests, name, *request)
			}
			if limit != nil && !unlimited {
				setResource(&pc.total.Limits, name, *limit)
			}
		}
	}
}

func larger(a *resource.Quantity, b resource.Quantity) *resource.Quantity {
	if a == nil || b.Cmp(*a) > 0 {
		return &b
	}
	return a
}

func setResource(list *corev1.ResourceList, name corev1.ResourceName, q resource.Quantity) {
	if *list == nil {
		*list = corev1.ResourceList{}
	}
	(*list)[name] = q
}

// stepResources are a step's quantities, which the config file's check found valid.
func stepResources(s *Step) corev1.ResourceRequirements {
	var out corev1.ResourceRequirements
	for _, f := range []struct {
		list *corev1.ResourceList
		name corev1.ResourceName
		text string
	}{
		{&out.Requests, corev1.ResourceCPU, s.CPURequest},
		{&out.Requests, corev1.ResourceMemory, s.MemoryRequest},
		{&out.Limits, corev1.ResourceCPU, s.CPULimit},
		{&out.Limits, corev1.ResourceMemory, s.MemoryLimit},
	} {
		if q, err := resource.ParseQuantity(f.text); err == nil {
			setResource(f.list, f.name, q)
		}
	}
	return out
}

// cloneResources: a little is reserved and nothing is limited, since a large repository needs more than a small one.
func cloneResources() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("10m"),
		corev1.ResourceMemory: resource.MustParse("32Mi"),
	}}
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// containerName is a readable name for the container of an image: golang-1-26 for docker.io/library/golang:1.26.
func containerName(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := notInName.ReplaceAllString(strings.ToLower(image[strings.LastIndexByte(image, '/')+1:]), "-")
	if name = strings.Trim(v1alpha1.Truncate(strings.Trim(name, "-"), 63), "-"); name == "" {
		return "step"
	}
	return name
}
