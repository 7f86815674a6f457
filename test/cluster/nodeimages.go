package cluster

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kubectl-pipeline/kubectl-pipeline/test/cluster/images"
)

// Folders of containerd's root.
const (
	contentDir   = "io.containerd.content.v1.content/blobs"
	metadataFile = "io.containerd.metadata.v1.bolt/meta.db"
	overlayDir   = "io.containerd.snapshotter.v1.overlayfs"
)

// buildNodeImages makes the images of real nodes and a containerd folder into which
// they have been imported. Nodes start from that folder instead of importing: see
// seedImages.
func buildNodeImages(ctx context.Context, c *cache, root, helper string) (string, error) {
	tools, version, err := imageTools(ctx, helper)
	if err != nil {
		return "", fmt.Errorf("find the parts of node images: %w", err)
	}
	sources, err := filepath.Glob(filepath.Join(root, "test", "cluster", "images", "*.go"))
	if err != nil {
		return "", err
	}
	key, err := hashOf([]string{version}, append(sources, tools.Inputs()...)...)
	if err != nil {
		return "", fmt.Errorf("hash the parts of node images: %w", err)
	}
	dir, err := c.get(ctx, "images", key, func(dir string) error {
		work := filepath.Join(dir, "work")
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
		archives, err := images.All(ctx, work, tools, c.progress.step)
		if err != nil {
			return err
		}
		done := c.progress.step("import node images")
		defer done()
		root := filepath.Join(dir, "containerd")
		if err := runInPrivate(ctx, helper, append([]string{helper, "import", "-root=" + root}, archives...)); err != nil {
			return fmt.Errorf("import node images: %w", err)
		}
		if err := hollow(filepath.Join(root, contentDir)); err != nil {
			return err
		}
		return os.RemoveAll(work)
	})
	return filepath.Join(dir, "containerd"), err
}

func imageTools(ctx context.Context, helper string) (images.Tools, string, error) {
	tools := images.Tools{Pause: helper}
	var err error
	if tools.Busybox, err = exec.LookPath("busybox"); err != nil {
		return tools, "", err
	}
	if tools.Git, err = exec.LookPath("git"); err != nil {
		return tools, "", err
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return tools, "", fmt.Errorf("ask go for its root: %w", err)
	}
	tools.GoRoot = strings.TrimSpace(string(goroot))
	version, err := exec.CommandContext(ctx, "containerd", "--version").Output()
	return tools, string(version), err
}

// hollow gives back the disk of layers that have been unpacked: containerd looks
// only whether the files are there. (A node could not push such an image.)
func hollow(dir string) error {
	const config = 1 << 20 // manifests and configurations, which are read, are smaller
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Size() < config {
			return err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		if err := os.Truncate(path, 0); err != nil {
			return err
		}
		return os.Truncate(path, info.Size())
	})
}

// seedImages makes a containerd folder that has the images without copying them:
// databases are copied, since a node writes to them; files and unpacked layers are
// links, since it only reads those. It takes milliseconds, where importing takes
// seconds for each node. The links go to a folder where the node finds the template.
func seedImages(template, root, found string) error {
	for _, file := range []string{metadataFile, filepath.Join(overlayDir, "metadata.db")} {
		content, err := os.ReadFile(filepath.Join(template, file))
		if err != nil {
			return err
		}
		target := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			return err
		}
	}
	for _, dir := range []string{filepath.Join(contentDir, "sha256"), filepath.Join(overlayDir, "snapshots")} {
		entries, err := os.ReadDir(filepath.Join(template, dir))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			return err
		}
		for _, entry := range entries {
			if err := os.Symlink(filepath.Join(found, dir, entry.Name()), filepath.Join(root, dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
