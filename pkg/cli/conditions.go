package cli

import (
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// writeConditions shows what is not as it should be in full, the rest in a word each.
func (a *app) writeConditions(w io.Writer, conditions []metav1.Condition) {
	if len(conditions) == 0 {
		return
	}
	fmt.Fprintln(w, "Conditions:")
	for _, c := range conditions {
		line := fmt.Sprintf("  %-12s  %-7s  %s", c.Type, c.Status, c.Reason)
		if c.Status != metav1.ConditionTrue && c.Message != "" {
			line += ": " + oneLine(c.Message)
		}
		fmt.Fprintln(w, line)
	}
}
