// Package cluster runs a real Kubernetes cluster on one machine, for tests and
// for the demo: etcd, kube-apiserver, kube-controller-manager and
// kube-scheduler, with simulated nodes (kwok) and, as root on Linux, real ones
// (kubelet, containerd, runc).
//
// It must not be imported by the product: it is test code that needs a Go
// toolchain and the source tree.
//
// Start reading at [Start] (cluster.go): it is the order in which the parts come
// up. [Build] (build.go) makes the programs and caches them outside the tree.
// [Main] (testmain.go) and [Sandbox] (sandbox.go) put a program into namespaces
// of its own, which real nodes need and which end with it.
package cluster
