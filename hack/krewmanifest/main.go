// Command krewmanifest fills the krew manifest's template for a release and writes it to
// standard output:
//
//	go run ./hack/krewmanifest -version v0.1.0 -checksums dist/checksums.txt
//
// It fails when template and archives do not fit together, so that neither can change
// alone.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

func main() {
	version := flag.String("version", "", "release, such as v0.1.0")
	checksums := flag.String("checksums", "", "file of sha256sum's output for the archives")
	template := flag.String("template", "plugins/krew.yaml", "the template")
	flag.Parse()
	if err := run(*version, *checksums, *template); err != nil {
		fmt.Fprintln(os.Stderr, "krewmanifest:", err)
		os.Exit(1)
	}
}

func run(version, checksumFile, templateFile string) error {
	template, err := os.ReadFile(templateFile)
	if err != nil {
		return err
	}
	sums, err := os.ReadFile(checksumFile)
	if err != nil {
		return err
	}
	manifest, err := fill(string(template), version, string(sums))
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(manifest)
	return err
}

var (
	release     = regexp.MustCompile(`^v(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?$`)
	sumLine     = regexp.MustCompile(`^([0-9a-f]{64})[ *]+(\S+)$`)
	placeholder = regexp.MustCompile(`\bKREW_[A-Z0-9_]+\b`)
)

// fill replaces KREW_TAG by the version and each KREW_<OS>_<ARCH>_SHA256 by the checksum
// of kubectl-pipeline_<version>_<os>_<arch>.tar.gz. Lines of comment are left out.
func fill(template, version, sums string) (string, error) {
	if !release.MatchString(version) {
		return "", fmt.Errorf("version %q: wanted one that krew takes, such as v0.1.0 or v0.1.0-rc.1", version)
	}
	values := map[string]string{"KREW_TAG": version}
	for line := range strings.Lines(sums) {
		m := sumLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			return "", fmt.Errorf("checksum line %q: wanted sha256sum's output", strings.TrimSpace(line))
		}
		platform, ok := strings.CutPrefix(m[2], "kubectl-pipeline_"+version+"_")
		if !ok || !strings.HasSuffix(platform, ".tar.gz") {
			return "", fmt.Errorf("archive %q: wanted kubectl-pipeline_%s_<os>_<arch>.tar.gz", m[2], version)
		}
		values["KREW_"+strings.ToUpper(strings.TrimSuffix(platform, ".tar.gz"))+"_SHA256"] = m[1]
	}
	template = withoutComments(template)
	used, missing := map[string]bool{}, []string{}
	out := template
	for _, name := range slices.Compact(slices.Sorted(slices.Values(placeholders(template)))) {
		value, ok := values[name]
		if !ok {
			missing = append(missing, name)
			continue
		}
		used[name] = true
		out = strings.ReplaceAll(out, name, value)
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("no archive for %s", strings.Join(missing, ", "))
	}
	for name := range values {
		if !used[name] {
			return "", fmt.Errorf("the template has no %s: add the platform or leave its archive out", name)
		}
	}
	return out, nil
}

// placeholders finds them also where letters touch them, as in a file name.
func placeholders(template string) []string {
	names := placeholder.FindAllString(template, -1)
	if strings.Contains(template, "KREW_TAG") {
		names = append(names, "KREW_TAG")
	}
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "KREW_TAG_") })
}

func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}
