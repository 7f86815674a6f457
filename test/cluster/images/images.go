// Package images makes the container images of real nodes out of what is installed
// on this machine, without a network: see All for which.
//
// It must not need a container runtime, nor leave anything outside the folders it
// is given. It needs root for the toolchain image, whose build cache is filled in a
// chroot. Start reading at All.
package images

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The images. Their host exists nowhere, so that none can be pulled by mistake.
const (
	// Pause holds the namespaces of a pod.
	Pause = "kubectl-pipeline.test/pause:1"
	// Busybox has a shell and the usual commands.
	Busybox = "kubectl-pipeline.test/busybox:1"
	// Git is Busybox with git, over HTTP(S) and files.
	Git = "kubectl-pipeline.test/git:1"
	// Golang is Busybox with the Go toolchain of this machine and a build cache that
	// has the common part of the standard library.
	Golang = "kubectl-pipeline.test/golang:1"
)

// Tools are the files that images are made from.
type Tools struct {
	Pause   string // a static program that waits: it becomes /pause
	Busybox string // a static busybox
	Git     string // git; its libraries and helpers are found from it
	GoRoot  string
}

// Inputs are the files whose change makes other images.
func (t Tools) Inputs() []string {
	return []string{t.Pause, t.Busybox, t.Git, filepath.Join(t.GoRoot, "VERSION")}
}

// All writes each image as an archive into dir and returns the archives' paths. It
// says what it does through step, whose result ends a step.
func All(ctx context.Context, dir string, tools Tools, step func(string) func()) ([]string, error) {
	base := &stage{dir: dir, name: "busybox", fill: func(root string) error { return fillBusybox(ctx, root, tools.Busybox) }}
	list := []struct {
		name   string
		stages []*stage
		config v1.Config
	}{
		{Pause, []*stage{{dir: dir, name: "pause", fill: func(root string) error {
			return copyFile(tools.Pause, filepath.Join(root, "pause"))
		}}}, v1.Config{Entrypoint: []string{"/pause"}}},
		{Busybox, []*stage{base}, v1.Config{Cmd: []string{"sh"}, Env: env()}},
		{Git, []*stage{base, {dir: dir, name: "git", fill: func(root string) error {
			return fillGit(ctx, root, tools.Git)
		}}}, v1.Config{Cmd: []string{"sh"}, Env: env()}},
		{Golang, []*stage{base, {dir: dir, name: "golang", fill: func(root string) error {
			return fillGolang(ctx, root, tools)
		}}}, v1.Config{Cmd: []string{"sh"}, Env: golangEnv()}},
	}
	var archives []string
	for _, image := range list {
		done := step("make image " + image.name)
		archive, err := write(dir, image.name, image.stages, image.config)
		done()
		if err != nil {
			return nil, fmt.Errorf("make image %s: %w", image.name, err)
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

func env() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
}

// write makes an image of the stages' layers.
func write(dir, ref string, stages []*stage, config v1.Config) (string, error) {
	tag, err := name.NewTag(ref)
	if err != nil {
		return "", err
	}
	image := empty.Image
	for _, s := range stages {
		layer, err := s.layer()
		if err != nil {
			return "", err
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			return "", err
		}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return "", err
	}
	file = file.DeepCopy()
	// containerd's import leaves out an image that does not say what it runs on.
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, filepath.Base(tag.RepositoryStr())+".tar")
	return archive, tarball.WriteToFile(archive, tag, image)
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, info.Mode().Perm())
}
