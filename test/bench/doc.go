// Package bench measures the whole product: hookd as a program of its own against a
// real API server, with Git pushes of a Git host and the Jenkins double, whose agents
// are off so that our part is what is measured.
//
// It contains benchmarks only: `make bench` runs them, `make test` compiles them. No
// benchmark judges its figures: they depend on the machine. docs/performance.md has
// the targets and what was measured.
//
// Start reading at world_test.go.
package bench
