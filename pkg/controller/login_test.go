package controller

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// TestLoginGoesToItsHostOnly: a repository at another host, or one that is read by
// another host's API, does not get the login.
func TestLoginGoesToItsHostOnly(t *testing.T) {
	provider := &v1alpha1.SourceCodeProvider{ObjectMeta: metav1.ObjectMeta{Name: "github"}, Spec: v1alpha1.SourceCodeProviderSpec{URL: "https://github.com"}}
	cred := &v1alpha1.SourceCodeCredential{ObjectMeta: metav1.ObjectMeta{Name: "bot"}, Spec: v1alpha1.SourceCodeCredentialSpec{ProviderRef: v1alpha1.LocalReference{Name: "github"}}}
	for name, test := range map[string]struct {
		url, provider string
		fits          bool
	}{
		"its host over https":                 {"https://github.com/shop/app.git", "github", true},
		"its host over ssh":                   {"git@github.com:shop/app.git", "github", true},
		"its host, no provider named":         {"https://GitHub.com/shop/app", "", true},
		"another host":                        {"https://evil.example/shop/app.git", "github", false},
		"another host, no provider named":     {"https://evil.example/shop/app.git", "", false},
		"a name that begins alike":            {"https://github.com.evil.example/a/b", "github", false},
		"the host as a login of another host": {"https://github.com@evil.example/a/b", "github", false},
		"its host by another provider's API":  {"https://github.com/shop/app.git", "mine", false},
	} {
		t.Run(name, func(t *testing.T) {
			repo := &v1alpha1.SourceCodeRepository{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Spec: v1alpha1.SourceCodeRepositorySpec{URL: test.url}}
			if test.provider != "" {
				repo.Spec.ProviderRef = &v1alpha1.LocalReference{Name: test.provider}
			}
			if err := fits(cred, provider, repo); (err == nil) != test.fits {
				t.Errorf("error %v, want fits %v", err, test.fits)
			}
		})
	}
}
