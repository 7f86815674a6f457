package pipeline

import (
	_ "embed"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// DefaultCloneImage has git, git-lfs, ssh and a shell.
const DefaultCloneImage = "docker.io/alpine/git:v2.49.1"

const cloneContainer = "clone"

//go:embed clone.sh
var cloneScript string

var commitID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// checkSource refuses what git could read as an option or that is no commit; the API refuses it too, but Compile also runs without one.
func checkSource(s v1alpha1.Source) error {
	bad := func(text string) bool {
		return strings.HasPrefix(text, "-") || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
	}
	switch {
	case s.RepositoryURL == "" || bad(s.RepositoryURL):
		return fmt.Errorf("source.repositoryURL: %q is no address", s.RepositoryURL)
	case s.Commit == "":
		return fmt.Errorf("source.commit is not known; a tip is never built")
	case !commitID.MatchString(s.Commit):
		return fmt.Errorf("source.commit: want 40 or 64 hex digits, got %q", s.Commit)
	case s.Ref != "" && (!strings.HasPrefix(s.Ref, "refs/") || bad(s.Ref) || strings.ContainsAny(s.Ref, ":*?[\\^~")):
		return fmt.Errorf("source.ref: want a full name such as refs/heads/main, got %q", s.Ref)
	}
	return nil
}

// cloneEnv is what drives clone.sh. The login is only here, in no other container.
func cloneEnv(in CompileInput, c SourceCodeConfig) []corev1.EnvVar {
	s := in.Execution.Spec.Source
	v := networkVariables(in.Setting)
	depth := defaultDepth
	if c.Depth != nil {
		depth = *c.Depth
	}
	v.set("CLONE_URL", s.RepositoryURL)
	v.set("CLONE_URL_SHOWN", withoutPassword(s.RepositoryURL))
	v.set("CLONE_COMMIT", s.Commit)
	v.set("CLONE_REF", s.Ref)
	v.set("CLONE_DEPTH", strconv.Itoa(depth))
	// Where they lie is written in the commit: a stranger's would send the login to other
	// repositories of the same host and leave what is found there in the workspace.
	further := in.Credential == CredentialNone || Trusts(in.Pipeline, s)
	v.set("CLONE_SUBMODULES", strconv.FormatBool(c.Submodules && further))
	v.set("CLONE_LFS", strconv.FormatBool(c.LFS && further))
	v.set("GIT_TERMINAL_PROMPT", "0")
	v.set("GIT_ALLOW_PROTOCOL", "https:http:ssh:git:file")
	helper := credentialScope(s.RepositoryURL)
	if in.Credential != CredentialBasic {
		helper = ""
	}
	gitConfig(v, helper)
	out := v.envVars()
	switch {
	case helper != "":
		out = append(out,
			secretEnv("CLONE_USERNAME", in.SecretName, BundleKeyGitUsername, true),
			secretEnv("CLONE_PASSWORD", in.SecretName, BundleKeyGitPassword, false))
	case in.Credential == CredentialSSH:
		out = append(out,
			secretEnv("CLONE_SSH_KEY", in.SecretName, BundleKeyGitSSHKey, false),
			secretEnv("CLONE_KNOWN_HOSTS", in.SecretName, BundleKeyGitKnownHosts, true))
	}
	return out
}

// gitConfig sets git's configuration by variables. Every container trusts the workspace, whoever owns it: images run as different
// users. The login is offered to the repository's own host only: a submodule may lie anywhere.
func gitConfig(v *variables, helperScope string) {
	count := 1
	v.set("GIT_CONFIG_KEY_0", "safe.directory")
	v.set("GIT_CONFIG_VALUE_0", "*")
	if helperScope != "" {
		count++
		v.set("GIT_CONFIG_KEY_1", "credential."+helperScope+".helper")
		v.set("GIT_CONFIG_VALUE_1", `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$CLONE_USERNAME" "$CLONE_PASSWORD"; }; f`)
	}
	v.set("GIT_CONFIG_COUNT", strconv.Itoa(count))
}

// credentialScope is scheme and host of an http address; empty for any other.
func credentialScope(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
