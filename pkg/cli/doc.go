// Package cli is the kubectl plugin: one file per verb over a few shared parts.
//
//	cli.go      Run: signals, the command tree, the exit code
//	connect.go  kubectl's connection flags, clients
//	api.go      get, list, create, patch: each one request, typed and raw at once
//	address.go  what a person types for a pipeline or a run
//	tracker.go  follows one run to its end whatever the network does
//	tree.go     draws a run (pure); view.go and lines.go show it as it changes
//	errors.go   every error as "error: …" and "hint: …"; exit.go as a code
//
// It talks to the Kubernetes API only, never to Jenkins or a Git host, and asks no
// question: what it is not told, it takes from the pipeline or refuses. It must not
// reach client-go's kubernetes and discovery packages or cli-runtime's
// genericclioptions and resource: each doubles the size of the binary and its start.
// Data goes to standard output, talk to standard error. Start reading at cli.go.
package cli
