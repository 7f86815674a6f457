// Package logs delivers the log of a run byte for byte while it grows: [Follow] reads
// it from wherever it is, [NewHandler] serves it to those who may read it.
//
// It must not know Jenkins: where a log comes from is a [Source], which the caller
// adapts. It must not hold a log: what a stream needs is bounded (see limits.go),
// however long the log and however slow its reader. It never cuts a log short without
// saying so.
//
// Start reading at follow.go.
package logs
