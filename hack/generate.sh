#!/usr/bin/env bash
# Writes every generated file anew, or with --root DIR into a copy of the tree.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" = --root ] && cd "$2"
controller_gen=(go tool -modfile=tools/go.mod controller-gen)
"${controller_gen[@]}" object crd:crdVersions=v1 paths=./pkg/apis/... output:crd:dir=manifests/crd
"${controller_gen[@]}" rbac:roleName=hookd paths=./pkg/... output:rbac:dir=manifests/rbac
go run ./hack/gendocs
go run ./hack/genapidocs
go run ./hack/gencli
