// Command archive packs files into an archive of a release and prints its line for
// checksums.txt, as sha256sum would:
//
//	go run ./hack/archive dist/kubectl-pipeline_v0.1.0_linux_amd64.tar.gz LICENSE bin/kubectl-pipeline
//
// The same contents make the same bytes on every machine: names are without folders,
// and times, owners and the umask stay out. tar cannot promise that outside Linux.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "archive:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	if len(args) < 2 {
		return fmt.Errorf("got %d arguments, wanted ARCHIVE FILE...", len(args))
	}
	packed, err := pack(args[1:])
	if err != nil {
		return err
	}
	if err := os.WriteFile(args[0], packed, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%x  %s\n", sha256.Sum256(packed), filepath.Base(args[0]))
	return err
}

// pack returns a gzipped tar of files, in their order. A file that its owner may
// execute can be executed by everyone once it is unpacked.
func pack(files []string) ([]byte, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(z)
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		mode := int64(0o644)
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		if err := t.WriteHeader(&tar.Header{Name: filepath.Base(file), Mode: mode, Size: int64(len(content)), Format: tar.FormatUSTAR}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", file, err)
		}
		if _, err := t.Write(content); err != nil {
			return nil, fmt.Errorf("pack %s: %w", file, err)
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
