package images

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// bigHelpers are the programs beside git itself that the image needs. Others of
// their size (servers, mail, foreign protocols) are left out: 2 MB each.
var bigHelpers = map[string]bool{"git-remote-http": true}

const smallHelper = 128 << 10

// fillGit makes a root with git, its helpers, the libraries of both, and the
// certificates that this machine trusts.
func fillGit(ctx context.Context, root, git string) error {
	out, err := exec.CommandContext(ctx, git, "--exec-path").Output()
	if err != nil {
		return fmt.Errorf("ask git for its helpers: %w", err)
	}
	helpers := strings.TrimSpace(string(out))
	programs := []string{git}
	if err := copyFile(git, filepath.Join(root, git)); err != nil {
		return err
	}
	entries, err := os.ReadDir(helpers)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(helpers, entry.Name())
		target := filepath.Join(root, path)
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		switch {
		case entry.Name() == "git":
			err = os.Symlink(git, target)
		case entry.Type()&fs.ModeSymlink != 0:
			var to string
			if to, err = os.Readlink(path); err == nil {
				err = os.Symlink(to, target)
			}
		case bigHelpers[entry.Name()]:
			programs = append(programs, path)
			err = copyFile(path, target)
		case entry.Type().IsRegular() && info.Size() < smallHelper:
			err = copyFile(path, target)
		}
		if err != nil {
			return err
		}
	}
	if err := copyLibraries(root, programs...); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "usr/share/git-core/templates"), 0o755); err != nil {
		return err
	}
	const certificates = "/etc/ssl/certs/ca-certificates.crt"
	if _, err := os.Stat(certificates); err != nil {
		return nil // nothing trusted here, nothing trusted there
	}
	return copyFile(certificates, filepath.Join(root, certificates))
}
