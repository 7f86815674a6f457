// Package kube is how the two programs speak to a Kubernetes API server: the rest
// configuration with throttling set on purpose, one scheme with just the kinds in
// use, and typed clients without generated clientsets.
//
// It decides nothing about pipelines. It must not import client-go's kubernetes,
// discovery or informers packages: each alone adds 56 API groups and 16 MiB to a
// binary. Start reading at clients.go.
package kube
