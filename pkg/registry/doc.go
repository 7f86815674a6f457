// Package registry understands what container registries send when an image is pushed:
// each kind of registry is a row that says how a notification is proved authentic and
// which pushes it reports. Only a pushed manifest with a tag counts: layers, pulls and the
// untagged parts of an image for several platforms are nothing.
//
// It is pure: it reads no clock and sends nothing, above all not to an address found in a
// payload. It must not know pipelines: what a push starts is decided elsewhere. Start
// reading at registry.go.
package registry
