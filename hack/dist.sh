#!/usr/bin/env bash
# Builds one archive of the plugin per platform, their checksums, and the krew manifest.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf dist && mkdir -p dist
for platform in $PLATFORMS; do
  os=${platform%/*} arch=${platform#*/}
  binary=kubectl-pipeline
  [ "$os" = windows ] && binary=kubectl-pipeline.exe
  work=$(mktemp -d)
  CGO_ENABLED=0 GOOS=$os GOARCH=$arch go build -trimpath \
    -ldflags "-s -w -X github.com/kubectl-pipeline/kubectl-pipeline/pkg/version.Version=$VERSION" \
    -o "$work/$binary" ./cmd/kubectl-pipeline
  cp LICENSE "$work/"
  tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -czf "dist/kubectl-pipeline_${VERSION}_${os}_${arch}.tar.gz" LICENSE "$binary"
  rm -rf "$work"
  echo "dist: kubectl-pipeline_${VERSION}_${os}_${arch}.tar.gz"
done
(cd dist && sha256sum ./*.tar.gz | sed 's#\./##' > checksums.txt)
go run ./hack/krewmanifest -version "$VERSION" -checksums dist/checksums.txt > dist/pipeline.yaml
echo "dist: pipeline.yaml"
