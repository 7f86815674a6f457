package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// plugin is what krew reads of a manifest
// (https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/).
type plugin struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Version          string `json:"version"`
		ShortDescription string `json:"shortDescription"`
		Description      string `json:"description"`
		Caveats          string `json:"caveats"`
		Homepage         string `json:"homepage"`
		Platforms        []struct {
			Selector struct {
				MatchLabels map[string]string `json:"matchLabels"`
			} `json:"selector"`
			URI    string `json:"uri"`
			Sha256 string `json:"sha256"`
			Bin    string `json:"bin"`
		} `json:"platforms"`
	} `json:"spec"`
}

var platforms = []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "windows_amd64", "windows_arm64"}

func sums(version string, platforms []string) string {
	var b strings.Builder
	for i, p := range platforms {
		fmt.Fprintf(&b, "%064x  kubectl-pipeline_%s_%s.tar.gz\n", i+1, version, p)
	}
	return b.String()
}

func template(t *testing.T) string {
	text, err := os.ReadFile("../../plugins/krew.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestManifestByKrewsRules: what krew and the validator of krew-index would refuse is
// refused here, before a release.
func TestManifestByKrewsRules(t *testing.T) {
	const version = "v1.2.3"
	text, err := fill(template(t), version, sums(version, platforms))
	if err != nil {
		t.Fatal(err)
	}
	var p plugin
	if err := yaml.UnmarshalStrict([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	for what, ok := range map[string]bool{
		"apiVersion":                  p.APIVersion == "krew.googlecontainertools.github.com/v1alpha2",
		"kind":                        p.Kind == "Plugin",
		"name":                        regexp.MustCompile(`^[\w-]+$`).MatchString(p.Metadata.Name),
		"version is semantic, with v": release.MatchString(p.Spec.Version) && p.Spec.Version == version,
		"shortDescription, one line":  p.Spec.ShortDescription != "" && !strings.ContainsAny(p.Spec.ShortDescription, "\r\n") && len(p.Spec.ShortDescription) <= 50,
		"description":                 p.Spec.Description != "",
		"homepage":                    strings.HasPrefix(p.Spec.Homepage, "https://"),
		"no placeholder is left":      !strings.Contains(text, "KREW_"),
	} {
		if !ok {
			t.Errorf("%s: %+v", what, p)
		}
	}
	seen := map[string]bool{}
	hash := regexp.MustCompile(`^[a-f0-9]{64}$`)
	for _, pl := range p.Spec.Platforms {
		os, arch := pl.Selector.MatchLabels["os"], pl.Selector.MatchLabels["arch"]
		key := os + "_" + arch
		if len(pl.Selector.MatchLabels) != 2 || seen[key] {
			t.Errorf("selector %v: wanted os and arch, each pair once", pl.Selector.MatchLabels)
		}
		seen[key] = true
		bin := "kubectl-pipeline"
		if os == "windows" {
			bin += ".exe"
		}
		if pl.Bin != bin || !hash.MatchString(pl.Sha256) || !strings.HasSuffix(pl.URI, "/"+version+"/kubectl-pipeline_"+version+"_"+key+".tar.gz") {
			t.Errorf("platform %s: %+v", key, pl)
		}
	}
	for i, want := range platforms {
		if !seen[want] {
			t.Errorf("no platform %s", want)
		}
		if !strings.Contains(text, fmt.Sprintf("%s.tar.gz\n    sha256: \"%064x\"\n", want, i+1)) {
			t.Errorf("%s has not its own checksum", want)
		}
	}
}

func TestFillRefusesWhatDoesNotFit(t *testing.T) {
	for name, c := range map[string]struct{ version, sums, want string }{
		"an archive is missing":     {"v1.0.0", sums("v1.0.0", platforms[1:]), "no archive for KREW_LINUX_AMD64_SHA256"},
		"an archive too many":       {"v1.0.0", sums("v1.0.0", append(platforms[:6:6], "plan9_mips")), "the template has no KREW_PLAN9_MIPS_SHA256"},
		"archives of another build": {"v1.0.0", sums("v0.9.0", platforms), "wanted kubectl-pipeline_v1.0.0_"},
		"no checksum":               {"v1.0.0", "abc  kubectl-pipeline_v1.0.0_linux_amd64.tar.gz\n", "wanted sha256sum's output"},
		"no version":                {"", sums("v1.0.0", platforms), `version ""`},
		"a version krew refuses":    {"4497433-dirty", sums("4497433-dirty", platforms), `version "4497433-dirty"`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fill(template(t), c.version, c.sums); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
