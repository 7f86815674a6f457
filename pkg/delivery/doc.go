// Package delivery is what all senders of webhooks have in common, be it Git hosts or
// registries: keys and how they prove that a body is authentic, in constant time, and how
// text of strangers is made fit to be decoded and shown.
//
// It is pure: it reads no clock and sends nothing. It must not know any host: how one of
// them signs, and what its bodies mean, is in pkg/scm and pkg/registry. Start reading at
// proof.go.
package delivery
