package pipeline

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

const mergeOriginal = `{"metadata":{"labels":{"a":"1","b":"2"},"finalizers":["x"]},"spec":{"nodeSelector":{"pool":"ci"},
"containers":[{"name":"clone","image":"git","env":[{"name":"A","value":"1"},{"name":"B","value":"2"}],"command":["sleep"],"ports":[{"containerPort":80,"protocol":"TCP"}]},{"name":"go","image":"golang","volumeMounts":[{"name":"w","mountPath":"/w"}]}],
"tolerations":[{"key":"t"}],"volumes":[{"name":"w","emptyDir":{}},{"name":"c","hostPath":{"path":"/c"}}],"imagePullSecrets":[{"name":"p"}]}}`

var mergePatches = map[string]string{
	"fields of a map":                  `{"metadata":{"labels":{"b":"3","c":"4"}}}`,
	"null removes a field":             `{"metadata":{"labels":{"a":null}},"spec":{"nodeSelector":null,"hostname":null}}`,
	"a map is replaced":                `{"spec":{"nodeSelector":{"$patch":"replace","disk":"ssd"}}}`,
	"a map is emptied":                 `{"spec":{"nodeSelector":{"$patch":"delete"}}}`,
	"an element by its name":           `{"spec":{"containers":[{"name":"go","image":"mirror/golang"}]}}`,
	"an element of an element":         `{"spec":{"containers":[{"name":"clone","env":[{"name":"B","value":"9"},{"name":"C","value":"3"}]}]}}`,
	"a new element":                    `{"spec":{"containers":[{"name":"extra","image":"e","env":[{"name":"Z"}]}]}}`,
	"an element is deleted":            `{"spec":{"containers":[{"name":"clone","$patch":"delete"}]}}`,
	"a list is replaced":               `{"spec":{"containers":[{"$patch":"replace"},{"name":"only","image":"o"}]}}`,
	"a list without a key, as a whole": `{"spec":{"tolerations":[{"key":"u"},{"key":"v"}],"containers":[{"name":"clone","command":["a","b"]}]}}`,
	"scalars are joined":               `{"metadata":{"finalizers":["y","x"]}}`,
	"a volume changes its kind":        `{"spec":{"volumes":[{"name":"c","$retainKeys":["name","emptyDir"],"emptyDir":{"medium":"Memory"}}]}}`,
	"a volume mount by its path":       `{"spec":{"containers":[{"name":"go","volumeMounts":[{"mountPath":"/w","name":"w","readOnly":true},{"mountPath":"/x","name":"x"}]}]}}`,
	"a port by its number":             `{"spec":{"containers":[{"name":"clone","ports":[{"containerPort":80,"name":"http"},{"containerPort":81}]}]}}`,
	"what was not there":               `{"spec":{"securityContext":{"runAsUser":5},"initContainers":[{"name":"i","image":"i"}],"hostAliases":[{"ip":"1.2.3.4","hostnames":["a"]}]}}`,
	"nulls inside what was not there":  `{"spec":{"affinity":{"nodeAffinity":null,"podAffinity":{}}}}`,
	"nothing":                          `{}`,
	"a quantity in a map":              `{"spec":{"containers":[{"name":"go","resources":{"limits":{"cpu":"2"}}}]}}`,
}

func object(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestStrategicMerge compares with the code that Kubernetes itself merges with.
func TestStrategicMerge(t *testing.T) {
	for name, patch := range mergePatches {
		t.Run(name, func(t *testing.T) {
			want, err := strategicpatch.StrategicMergePatch([]byte(mergeOriginal), []byte(patch), corev1.Pod{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := strategicMerge(object(t, []byte(mergeOriginal)), object(t, []byte(patch)), reflect.TypeFor[corev1.Pod]())
			if err != nil {
				t.Fatal(err)
			}
			// Kubernetes puts new elements before those it has no order for; ours come last.
			anyOrder := cmpopts.SortSlices(func(a, b any) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
			if diff := cmp.Diff(object(t, want), got, anyOrder); diff != "" {
				t.Errorf("(-Kubernetes +ours):\n%s", diff)
			}
		})
	}
	for name, c := range map[string]struct{ patch, want string }{
		"an unknown directive value":    {`{"spec":{"nodeSelector":{"$patch":"merge"}}}`, "want replace or delete"},
		"a computed directive":          {`{"spec":{"$setElementOrder/containers":[{"name":"go"}]}}`, "is not supported here"},
		"an element without its key":    {`{"spec":{"containers":[{"image":"x"}]}}`, "has no name"},
		"a deletion without its key":    {`{"spec":{"containers":[{"$patch":"delete"}]}}`, "needs name"},
		"a field that is not to retain": {`{"spec":{"volumes":[{"name":"c","$retainKeys":["name"],"emptyDir":{}}]}}`, `does not list "emptyDir"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := strategicMerge(object(t, []byte(mergeOriginal)), object(t, []byte(c.patch)), reflect.TypeFor[corev1.Pod]()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzStrategicMerge: no patch makes it panic.
func FuzzStrategicMerge(f *testing.F) {
	for _, p := range mergePatches {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var patch map[string]any
		if json.Unmarshal([]byte(text), &patch) != nil {
			t.Skip("no patch")
		}
		_, _ = strategicMerge(object(t, []byte(mergeOriginal)), patch, reflect.TypeFor[corev1.Pod]()) // an error is as good as a result
	})
}
