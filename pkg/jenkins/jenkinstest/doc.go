// Package jenkinstest is a Jenkins double: an HTTP server that speaks the part of Jenkins' API that pkg/jenkins uses, interprets
// generated Jenkinsfiles and runs their steps on agents, which may be pods that it makes as Jenkins' Kubernetes plugin does. It is for
// tests and the demo.
//
// It must not be more lenient than Jenkins: a request, a script or a step that it does not know fails as Jenkins fails it. It must not
// import pkg/jenkins or anything else of this project, or the two could share a mistake.
//
// Start reading in server.go (one request) and run.go (one build). The parts: route.go and *_http.go answer requests; tree.go filters
// JSON; auth.go and permission.go say who may; item.go, config.go, params.go, queue.go, build.go, nodes.go and input.go are the state;
// groovylex.go, groovyparse.go, methodsize.go and steps_*.go are the Jenkinsfile dialect; agents.go, local.go and kube*.go are agents;
// fault.go, restart.go, inspect.go, control.go and remote.go are for tests.
//
// # Steering a double
//
// A test that has the [Server] calls its methods: [Server.Spoil] spoils answers, [Server.Restart], [Server.SetDown], [Server.SetBroken] and
// [Server.SetQuiet] change what of Jenkins is there, [Server.DenyAt] and [Server.SetAccount] who may do what, [Server.Snapshot] and its
// parts tell what there is. A test whose double is another program, cmd/jenkins-double, does the same through [Remote], which speaks to
// [Server.Control]. That is an address of its own, which exists only when --control names a loopback address and
// JENKINS_DOUBLE_CONTROL_SECRET holds a secret:
//
//	JENKINS_DOUBLE_CONTROL_SECRET=s jenkins-double --listen 127.0.0.1:8080 --control 127.0.0.1:8090
//	curl -H 'Authorization: Bearer s' -d '{"Path":"buildWithParameters","DropAfter":true}' http://127.0.0.1:8090/faults
//	curl -H 'Authorization: Bearer s' -d '{"Crash":true,"Starting":"5s"}' http://127.0.0.1:8090/restart
//	curl -H 'Authorization: Bearer s' http://127.0.0.1:8090/state
//
// # What it conforms to
//
// docs/jenkins-double.md says it row by row, with source and test, and says what the double does not do. [Server.Spoil] and its like are
// the only ways in which it differs from Jenkins on purpose.
package jenkinstest
