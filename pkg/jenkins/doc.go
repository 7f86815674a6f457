// Package jenkins is Jenkins in a few verbs: make sure a job exists, start it once, find what was started, read builds, stages and
// log, stop, pause, answer, delete.
//
// It must not decide anything about executions, must not know Kubernetes, and must not import another package of this project. It
// is the only package that knows gojenkins, whose transport it replaces: see requester.go for which of its calls are used and why
// the others are not.
//
// Three rules hold for every verb:
//
//   - Nothing is addressed by a url found in an answer. Jenkins builds those from its configured root URL, which is often not the
//     address we reach it by. The configured base and a path are all that is used.
//   - A POST that is not idempotent is sent once. Where the answer is lost, the error says so ([ErrUnknownOutcome]) and the caller
//     looks for evidence ([Client.Find]) before it starts anything again.
//   - An answer that is not Jenkins' (a proxy's page, a login form with status 200, half a JSON document) is a temporary error,
//     never an empty result.
//
// Start reading in client.go, then start.go and observe.go. do.go holds the one function that talks HTTP.
package jenkins
