// Package chaos runs a mix of pipelines while everything around them fails at random:
// Jenkins (the double), the API server and etcd, hookd, nodes and agents. At the end
// every execution has to be over and right, and nothing may be left behind.
//
// It judges from outside: it must not import pkg/pipeline, pkg/controller or
// pkg/jenkins, or a mistake of theirs would be its own idea of what is right.
//
// Start reading at TestChaos. What is asked for is in kinds.go, what breaks in
// faults.go, both are chosen by plan.go from a seed; verdict.go says what is right,
// watch.go what must hold at every moment.
package chaos
