# The image of hookd. Build it with `make image`, or:
#
#   docker build --build-arg VERSION=v0.1.0 -t ghcr.io/kubectl-pipeline/hookd:v0.1.0 .
#
# For several platforms add --platform linux/amd64,linux/arm64 to docker buildx build:
# the compiler runs on the platform of the build and cross-compiles.
FROM --platform=$BUILDPLATFORM docker.io/library/golang:1.26 AS build
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=v0.0.0-dev
WORKDIR /src
# Modules first: they change less often than the code, and this layer is kept.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY pkg pkg
COPY cmd/hookd cmd/hookd
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/kubectl-pipeline/kubectl-pipeline/pkg/version.Version=$VERSION" \
      -o /hookd ./cmd/hookd

# Certificates, time zones, a user, and nothing else: no shell, no package manager.
FROM gcr.io/distroless/static-debian12:nonroot
ARG VERSION=v0.0.0-dev
LABEL org.opencontainers.image.title="hookd" \
      org.opencontainers.image.description="Webhooks, controllers and logs of kubectl-pipeline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /hookd /hookd
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/hookd"]
