package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// ConfigError is one mistake in a config file.
type ConfigError struct {
	// Line and Column start at 1; columns count characters.
	Line, Column int
	// Path is the field, such as stages[0].steps[1].retry. Empty: the whole file.
	Path string
	// Message says what is there and what was wanted.
	Message string
}

func (e ConfigError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
	}
	return fmt.Sprintf("line %d, column %d: %s: %s", e.Line, e.Column, e.Path, e.Message)
}

// ConfigErrors are all mistakes of a config file, in the order of its lines.
type ConfigErrors []ConfigError

// Error has one line for each mistake.
func (e ConfigErrors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the errors by position, without repetitions: a mistake behind an anchor is met once for each alias.
func (e ConfigErrors) sorted() ConfigErrors {
	out := slices.Clone(e)
	slices.SortStableFunc(out, func(a, b ConfigError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(out, func(a, b ConfigError) bool {
		return a.Line == b.Line && a.Column == b.Column && a.Message == b.Message
	})
}
