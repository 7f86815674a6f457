// Package jenkinstest is a Jenkins double: an HTTP server that speaks the part of Jenkins' API that pkg/jenkins uses, interprets
// generated Jenkinsfiles and runs their steps on agents, which may be pods that it makes as Jenkins' Kubernetes plugin does. It is for
// tests and the demo.
//
// It must not be more lenient than Jenkins: a request, a script or a step that it does not know fails as Jenkins fails it. It must not
// import pkg/jenkins or anything else of this project, or the two could share a mistake.
//
// Start reading in server.go (one request) and run.go (one build). The parts: route.go and *_http.go answer requests; tree.go filters
// JSON; item.go, queue.go, build.go are the state; groovylex.go, groovyparse.go and steps_*.go are the Jenkinsfile dialect; agents.go,
// local.go and kube*.go are agents; fault.go, restart.go, permission.go and inspect.go are for tests.
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
//	request or behaviour                                                test
//	headers, configured root vs request host, context path, names        TestHeadersAndAddresses
//	?tree= with ranges, depth, _class                                    TestTree, FuzzParseTree
//	GET with api/json twice, extra slashes (gojenkins)                   TestHeadersAndAddresses
//	createItem: 200 empty, 400 X-Error, 500, names                       TestCreatingAndChangingJobs
//	config.xml: XML 1.1 back, charset of POST, other class 500           TestCreatingAndChangingJobs, FuzzParseConfig
//	DELETE 204, doDelete 302, busy 400 X-Error, queue cancelled          TestDeletionInterruptsBuilds
//	buildWithParameters: 201, 303, 302 ".", 400, 405, 409                TestTriggering
//	quiet period, blocked, left without executable, forgotten            TestTriggering
//	cancelItem: 204, 404, 500                                            TestTriggering
//	`node` placeholders in the queue, cancelled ones                     TestANodeWaitsInTheQueue
//	crumbs by session and user, token bypass, 401, 403, hidden 404       TestAccounts
//	progressiveText of both dialects, progressiveHtml, 10,000 lines      TestProgressiveLogs, TestLongLogOfARunningBuildIsCapped
//	wfapi describe and runs, stages/tree, missing plugins                TestStagesOfBothPlugins
//	stop, term, kill; result before the end; wfapi after a kill          TestTermAndKill, TestStopThatIsIgnoredIsGivenUp
//	pause/toggle, stages/pauseState                                      TestPause
//	pending inputs, proceedEmpty, abort                                  TestInput
//	quietDown                                                            TestQuietDown
//	restart: 503, session, queue, ids again, resume; stop = kill         TestRestart, TestStopWhileResumingIsAKill
//	build records lost                                                   TestRestartThatLosesBuilds
//	the dialect, its failures, the console                               TestDialect, TestTheLogIsThatOfJenkins, FuzzParseScript
//	environment of a step, EnvVars rules                                 TestEnvironmentOfAStep
//	timeout inside and outside retry                                     TestTimeout
//	agent pods: shape, exec, exit code, stop, loss, API server away      TestPodsAreThoseOfThePlugin, TestAgentPods
//	agent pods that do not come                                          TestAgentPodsThatDoNotCome
//
// Not there yet: credentials, nodes' own wfapi and log pages, input with parameters, the multipart log, submitting a form to build,
// the 60 s that wfapi may block, `build` with a json field.
package jenkinstest
