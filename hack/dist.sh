#!/usr/bin/env bash
# Builds one archive of the plugin per platform, their checksums, and the krew manifest:
#
#   VERSION=v0.1.0 PLATFORMS="linux/amd64 darwin/arm64" hack/dist.sh [DIR]
#
# The same sources, VERSION and Go make the same bytes.
#
# STANDIN names a file that is packed in place of the program on every platform but this
# machine's. test/krew sets it: six builds take minutes when nothing is in the cache.
set -euo pipefail
cd "$(dirname "$0")/.."
dist=${1:-dist}
mkdir -p "$dist"
rm -f "$dist"/kubectl-pipeline_*.tar.gz "$dist/checksums.txt" "$dist/pipeline.yaml"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Neither the caller's settings nor what git thinks of the tree get into the programs.
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOAMD64=v1 GOARM64=v8.0
host=$(go env GOHOSTOS)/$(go env GOHOSTARCH)
for platform in $PLATFORMS; do
  os=${platform%/*} arch=${platform#*/}
  binary=$work/$os-$arch/kubectl-pipeline
  [ "$os" != windows ] || binary=$binary.exe
  what=
  if [ -n "${STANDIN:-}" ] && [ "$platform" != "$host" ]; then
    mkdir -p "${binary%/*}"
    install -m 0755 "$STANDIN" "$binary"
    what=" (NOT A PROGRAM: $STANDIN)"
  else
    GOOS=$os GOARCH=$arch go build -trimpath \
      -ldflags "-s -w -X github.com/kubectl-pipeline/kubectl-pipeline/pkg/version.Version=$VERSION" \
      -o "$binary" ./cmd/kubectl-pipeline
  fi
  archive=kubectl-pipeline_${VERSION}_${os}_${arch}.tar.gz
  go run -trimpath ./hack/archive "$dist/$archive" LICENSE "$binary" >> "$dist/checksums.txt"
  echo "dist: $archive$what"
done
go run -trimpath ./hack/krewmanifest -version "$VERSION" -checksums "$dist/checksums.txt" > "$work/pipeline.yaml"
mv "$work/pipeline.yaml" "$dist/"
echo "dist: pipeline.yaml"
