// Package controller drives pipelines: it admits executions, has Jenkins carry them
// out, writes down how they go, and cleans up after them.
//
// Each controller is a key queue (queue.go) over one function of one shape: get →
// deleted? → copy → gather → decide → act (at most one verb) → write status once, if it
// changed → requeue. What is decided is decided by package pipeline, from values; here
// values are gathered and verbs are carried out. The controllers run in one replica,
// the leader, and must come out right when it is killed between any two lines.
//
// It must not import pkg/hook: the two meet in a PipelineExecution. Start reading at
// controller.go, then execution.go.
package controller
