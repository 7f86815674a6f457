// Package pipeline is the project's brain: it reads a config file, decides which pipelines an event starts, compiles a run into a
// Jenkinsfile and an agent pod, and says what to do next with a run.
//
// It is pure: no I/O, no clock, no environment, no client. What it needs is passed in, what it decides is returned, so that every
// decision is a table of tests. It imports the API types and Kubernetes' own types, nothing of this project's other packages.
//
// Start reading at ParseConfig (the config file), Match (event → pipelines), NewExecution (event → object) and Compile (run →
// Jenkinsfile and pod). Text that people wrote never becomes Groovy or shell source: groovy.go writes it as an escaped literal, and
// the tests have a real Groovy turn every literal back.
package pipeline
