// Package scm speaks to Git hosts: it resolves a ref to a commit and reads a file at
// a commit (Reader), and it turns a host's webhook into verified, normalised events
// (Sender).
//
// Reader uses the host's API through go-scm where there is one, else the Git
// protocol; both are bounded in time and bytes, and neither puts a credential into
// an error. Senders are pure: they read no clock and send nothing, above all not to
// an address found in a payload.
//
// Only this package knows go-scm, go-git and go-playground/webhooks. It must not
// know pipelines: what an event starts is decided elsewhere. Start reading at
// reader.go for the first half, at sender.go for the second.
package scm
