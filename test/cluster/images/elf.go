package images

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// copyLibraries copies into root what the dynamic linker would load for programs:
// the linker itself and, transitively, every library, each at its own path.
func copyLibraries(root string, programs ...string) error {
	dirs := libraryDirs()
	seen := map[string]bool{}
	for queue := programs; len(queue) > 0; queue = queue[1:] {
		linker, needed, err := dependencies(queue[0])
		if err != nil {
			return fmt.Errorf("read dependencies of %s: %w", queue[0], err)
		}
		paths := []string{}
		if linker != "" {
			paths = append(paths, linker)
		}
		for _, name := range needed {
			path, err := find(name, dirs)
			if err != nil {
				return fmt.Errorf("find library of %s: %w", queue[0], err)
			}
			paths = append(paths, path)
		}
		for _, path := range paths {
			if seen[path] {
				continue
			}
			seen[path] = true
			if err := copyFile(path, filepath.Join(root, path)); err != nil {
				return err
			}
			queue = append(queue, path)
		}
	}
	return nil
}

// dependencies reads the linker that a program asks for and the libraries that it
// names. Both are empty for a static one.
func dependencies(path string) (linker string, needed []string, err error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, p.Filesz)
			if _, err := p.ReadAt(name, 0); err != nil {
				return "", nil, err
			}
			linker = strings.TrimRight(string(name), "\x00")
		}
	}
	needed, err = f.ImportedLibraries()
	return linker, needed, err
}

func find(name string, dirs []string) (string, error) {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w in %s", name, fs.ErrNotExist, strings.Join(dirs, ", "))
}

// libraryDirs is where the linker looks without a cache, which the image has not.
func libraryDirs() []string {
	var dirs []string
	for _, pattern := range []string{"/lib/*-linux-gnu", "/usr/lib/*-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		found, err := filepath.Glob(pattern)
		if errors.Is(err, filepath.ErrBadPattern) {
			panic(err)
		}
		dirs = append(dirs, found...)
	}
	return dirs
}
