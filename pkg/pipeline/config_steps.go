package pipeline

import "sort"

// StepType is a kind of step, as status.stages[].steps[].type shows it.
type StepType string

// The step types.
const (
	StepClone          StepType = "clone"
	StepRunScript      StepType = "runScript"
	StepPublishImage   StepType = "publishImage"
	StepApplyYAML      StepType = "applyYaml"
	StepPublishCatalog StepType = "publishCatalog"
	StepApplyApp       StepType = "applyApp"
	StepApproval       StepType = "approval"
)

// stepTypes is the table of all step types: the field that configures it, whether a step has it, and whether Compile can do it.
var stepTypes = []struct {
	typ      StepType
	field    string
	of       func(*Step) bool
	compiled bool
}{
	{StepClone, "sourceCodeConfig", func(s *Step) bool { return s.SourceCodeConfig != nil }, true},
	{StepRunScript, "runScriptConfig", func(s *Step) bool { return s.RunScriptConfig != nil }, true},
	{StepPublishImage, "publishImageConfig", func(s *Step) bool { return s.PublishImageConfig != nil }, false},
	{StepApplyYAML, "applyYamlConfig", func(s *Step) bool { return s.ApplyYAMLConfig != nil }, false},
	{StepPublishCatalog, "publishCatalogConfig", func(s *Step) bool { return s.PublishCatalogConfig != nil }, false},
	{StepApplyApp, "applyAppConfig", func(s *Step) bool { return s.ApplyAppConfig != nil }, false},
	{StepApproval, "approvalConfig", func(s *Step) bool { return s.ApprovalConfig != nil }, false},
}

// Type is what the step does; empty when it says nothing.
func (s *Step) Type() StepType {
	for _, t := range stepTypes {
		if t.of(s) {
			return t.typ
		}
	}
	return ""
}

func (s *Step) types() []string {
	var fields []string
	for _, t := range stepTypes {
		if t.of(s) {
			fields = append(fields, t.field)
		}
	}
	return fields
}

func stepTypeFields() []string {
	fields := make([]string, len(stepTypes))
	for i, t := range stepTypes {
		fields[i] = t.field
	}
	return fields
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
