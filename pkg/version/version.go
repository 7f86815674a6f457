// Package version holds the version that the release build writes into the
// programs. It does nothing else.
package version

// Version is the release, such as v0.1.0, or v0.0.0-dev for a build without one. Set
// by the linker.
var Version = "v0.0.0-dev"
