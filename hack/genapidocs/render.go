package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

type schema = apiextensionsv1.JSONSchemaProps

// kubernetes are fields whose type is Kubernetes' own: its documentation says what is
// in them.
var kubernetes = map[string]string{
	"conditions":       "[]metav1.Condition",
	"dataSource":       "core/v1 TypedLocalObjectReference",
	"hostAliases":      "[]core/v1 HostAlias",
	"imagePullSecrets": "[]core/v1 LocalObjectReference",
	"resources":        "core/v1 ResourceRequirements",
	"tolerations":      "[]core/v1 Toleration",
}

const head = `<!-- Written by go run ./hack/genapidocs from manifests/crd. Do not edit. -->
# API reference: kubectl-pipeline.io/v1alpha1

Six kinds, all of them namespaced. In ` + "`spec`" + ` is what is wished, in ` + "`status`" + ` what is. Fields marked * are required.
` + "`kubectl explain`" + ` says the same. What the words in ` + "`reason`" + ` mean: [reasons.md](reasons.md).

`

// notYet names the fields that no code reads. What is refused instead, with a message,
// is not among them.
const notYet = `
## Not yet

The schemas are complete; some of what they describe is still to come. These fields are checked and stored, and have no effect:

- SourceCodeRepository: ` + "`pollInterval`, `webhook.mode: Managed` (as `Manual`: enter the webhook yourself), `status.heads`" + `
- Pipeline: ` + "`triggers.schedule`, `serviceAccountName`, `status.cache`" + `
- PipelineExecution: ` + "`approvals`, `status.logs`, the condition `Notified`" + `
- PipelineSetting: ` + "`registry` (but `url` becomes `CICD_LOCAL_REGISTRY`), `logStore`, `notifications`, `network.registryMirrors`, of `images` all but `agent` and `clone`, the conditions `RegistryReady` and `LogStoreReady`" + `
- SourceCodeProvider and SourceCodeCredential: their ` + "`status`" + `
`

// render makes the reference.
func render(crds []crd) string {
	var b strings.Builder
	b.WriteString(head)
	for _, c := range crds {
		fmt.Fprintf(&b, "- [%s](#%s)\n", c.Spec.Names.Kind, strings.ToLower(c.Spec.Names.Kind))
	}
	b.WriteString(notYet)
	for _, c := range crds {
		kind(&b, c)
	}
	return b.String()
}

func kind(b *strings.Builder, c crd) {
	v := c.Spec.Versions[0]
	names := c.Spec.Names
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", names.Kind, prose(v.Schema.OpenAPIV3Schema.Description))
	fmt.Fprintf(b, "`kubectl get %s`, in short `%s`.", names.Plural, strings.Join(names.ShortNames, "`, `"))
	if len(v.SelectableFields) > 0 {
		var fields []string
		for _, f := range v.SelectableFields {
			fields = append(fields, "`"+strings.TrimPrefix(f.JSONPath, ".")+"`")
		}
		fmt.Fprintf(b, " `--field-selector` takes %s.", strings.Join(fields, ", "))
	}
	b.WriteString("\n")
	for _, part := range []string{"spec", "status"} {
		p := v.Schema.OpenAPIV3Schema.Properties[part]
		fmt.Fprintf(b, "\n| field of %s | type | meaning |\n|---|---|---|\n", part)
		fields(b, &p, "")
	}
	if rules := rules(v.Schema.OpenAPIV3Schema, ""); len(rules) > 0 {
		b.WriteString("\nThe API server refuses what breaks one of these rules:\n\n")
		for _, r := range rules {
			fmt.Fprintf(b, "- %s\n", r)
		}
	}
}

// fields writes a row for each property below p, the nested ones after their parent.
func fields(b *strings.Builder, p *schema, path string) {
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		child := p.Properties[name]
		mark := ""
		if slices.Contains(p.Required, name) {
			mark = "*"
		}
		at := path + name
		fmt.Fprintf(b, "| `%s`%s | %s | %s |\n", at, mark, cell(typeOf(name, &child)), cell(meaning(&child)))
		if _, ok := kubernetes[name]; ok {
			continue
		}
		if child.Items != nil && child.Items.Schema != nil {
			fields(b, child.Items.Schema, at+"[].")
			continue
		}
		fields(b, &child, at+".")
	}
}

func typeOf(name string, p *schema) string {
	if t, ok := kubernetes[name]; ok {
		return t
	}
	switch {
	case p.XIntOrString:
		return "quantity"
	case p.Type == "array" && p.Items != nil && p.Items.Schema != nil:
		return "[]" + typeOf("", p.Items.Schema)
	case p.AdditionalProperties != nil && p.AdditionalProperties.Schema != nil:
		return "map of " + typeOf("", p.AdditionalProperties.Schema)
	case p.Format == "date-time":
		return "time"
	}
	return p.Type
}

// meaning is the description and, of what the schema demands, what is not in it.
func meaning(p *schema) string {
	text := prose(p.Description)
	item := p
	if p.Items != nil && p.Items.Schema != nil {
		item = p.Items.Schema
	}
	if len(item.Enum) > 0 {
		var values []string
		for _, e := range item.Enum {
			var s string
			if json.Unmarshal(e.Raw, &s) == nil {
				values = append(values, "`"+s+"`")
			}
		}
		text += " One of " + strings.Join(values, ", ") + "."
	}
	if p.Default != nil && !strings.Contains(text, "Default:") {
		text += fmt.Sprintf(" Default: `%s`.", strings.Trim(string(p.Default.Raw), `"`))
	}
	if item.Pattern != "" && !item.XIntOrString {
		text += fmt.Sprintf(" Matches `%s`.", item.Pattern)
	}
	for _, limit := range []struct {
		value *int64
		words string
	}{{item.MaxLength, "At most %d characters."}, {p.MaxItems, "At most %d."}} {
		if limit.value != nil {
			text += " " + fmt.Sprintf(limit.words, *limit.value)
		}
	}
	switch low, high := p.Minimum, p.Maximum; {
	case low != nil && high != nil:
		text += fmt.Sprintf(" From %g to %g.", *low, *high)
	case low != nil:
		text += fmt.Sprintf(" At least %g.", *low)
	}
	return strings.TrimSpace(text)
}

// rules collects the messages of CEL rules, with where they hold.
func rules(p *schema, path string) []string {
	var out []string
	for _, r := range p.XValidations {
		where := ""
		if path != "" {
			where = "`" + path + "`: "
		}
		out = append(out, where+r.Message)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		child := p.Properties[name]
		out = append(out, rules(&child, strings.TrimPrefix(path+"."+name, "."))...)
	}
	if p.Items != nil && p.Items.Schema != nil {
		out = append(out, rules(p.Items.Schema, path+"[]")...)
	}
	return out
}

func prose(s string) string { return strings.Join(strings.Fields(s), " ") }

// cell makes a text fit for a cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
