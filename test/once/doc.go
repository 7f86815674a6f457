// Package once proves that an execution is one build, whatever dies. Real hookd
// processes, two replicas with the rights that the manifests give them, carry
// executions out on a real API server and on the Jenkins double, and are killed with
// SIGKILL: at each write of a run and of its deletion, then at random, while answers
// are lost, Jenkins restarts and crashes, and the lease moves.
//
// It judges from outside: it must not import pkg/pipeline, pkg/controller or
// pkg/jenkins, or a mistake of theirs would be its own idea of what is right.
//
// What has to hold is in ledger.go (one build, every script once), in watch.go (phases
// only go on, the quota is kept, at every moment) and in leftover.go (nothing stays
// behind). Start reading at TestExactlyOnce.
//
//	go test ./test/once                                        as much as fits into half a minute
//	KUBECTL_PIPELINE_LONG=1 go test -count=1 -v ./test/once    200 kills
//	KUBECTL_PIPELINE_ONCE_SEED=7 go test ...                   the random choices of an earlier run, which printed it
//
// Choices are made in the same order for the same seed; what they meet depends on the
// machine, so a run is similar to its predecessor, not equal.
package once
