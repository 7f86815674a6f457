package cluster

import (
	_ "embed"
	"strings"
)

//go:embed apt.txt
var aptPackages string

// AptPackages are the Debian packages that real nodes, their images and the tests
// need: the lines of apt.txt.
func AptPackages() []string { return strings.Fields(aptPackages) }
