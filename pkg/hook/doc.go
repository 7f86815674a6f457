// Package hook receives what Git hosts deliver and makes runs of it: bound, look up,
// verify, normalise, match, create. It answers that a delivery is accepted only when
// the API server has stored what it starts, and the names of what it stores come
// from the delivery, so that a sender may repeat itself and any number of replicas
// may share the work.
//
// It keeps no state that matters, calls no address found in a payload, logs no
// secret, path or body, and never imports pkg/controller: the two meet in a
// PipelineExecution. Start reading at handler.go, ServeHTTP; every limit is in
// limits.go.
package hook
