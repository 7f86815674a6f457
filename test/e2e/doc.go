// Package e2e drives the whole product as its users do: git push, kubectl and the
// plugin on one side, executions and agent pods on the other. What runs for it is in
// test/harness; what is a double is said there. It holds tests only.
package e2e
