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
// One build is promised, with these bounds:
//
//   - A trigger that arrives more than 20 s after its sender died or halts, when the next
//     leader has sent another: Jenkins records a second build. It ends at once as a
//     failure, without an agent and without a step, since it is not the job's first.
//
//   - Jenkins lost the item from its queue three times: the run ends as EngineLost, with
//     no build.
//
//   - Jenkins has given the number 1 away and has no record of the build: the run ends as
//     EngineLost. What may have run is not run again.
//
//   - A leader that is halted for longer than its lease and then goes on may admit a run
//     beside the new leader: then the quota is exceeded by it, for as long as it runs.
//
//     go test ./test/once                                        as much as fits into half a minute
//     KUBECTL_PIPELINE_LONG=1 go test -count=1 -v ./test/once    200 kills
//     KUBECTL_PIPELINE_ONCE_SEED=7 go test ...                   the random choices of an earlier run, which printed it
//
// Choices are made in the same order for the same seed; what they meet depends on the
// machine, so a run is similar to its predecessor, not equal.
package once
