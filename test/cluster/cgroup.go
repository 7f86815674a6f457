package cluster

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const cgroupRoot = "/sys/fs/cgroup"

// makeCgroup makes a control group in every hierarchy of version 1, or in the one
// of version 2. The janitor removes it.
func makeCgroup(name string) error {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return makeUnified(name)
	}
	hierarchies, err := filepath.Glob(cgroupRoot + "/*/cgroup.procs")
	if err != nil || len(hierarchies) == 0 {
		return errors.Join(err, errors.New("nothing is mounted at "+cgroupRoot))
	}
	for _, procs := range hierarchies {
		if err := makeCgroupIn(filepath.Dir(procs), name); err != nil {
			return err
		}
	}
	return nil
}

// makeCgroupIn makes each level of a group. In cpuset a new group has no processor
// and no memory until it is given those of its parent.
func makeCgroupIn(dir, name string) error {
	for level := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		parent := dir
		dir = filepath.Join(dir, level)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(parent, file))
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, file), value, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeUnified makes a group of version 2, where a parent has to hand its
// controllers down.
func makeUnified(name string) error {
	dir := cgroupRoot
	for level := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		for _, controller := range []string{"cpu", "cpuset", "memory", "pids", "hugetlb"} {
			// One that is not there, or not ours to give, shows when the kubelet looks.
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		}
		dir = filepath.Join(dir, level)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
