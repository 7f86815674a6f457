package scm

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// httpWire is smart HTTP, by go-git.
type httpWire struct {
	transport.UploadPackSession
	t *boundedTransport
}

func newHTTPWire(repo Repository, u *url.URL, hc *http.Client, t *boundedTransport) (wire, error) {
	ep, err := transport.NewEndpoint(u.String())
	if err != nil {
		return nil, errorf(KindInvalid, "parse repository URL: it is no URL")
	}
	var auth transport.AuthMethod
	switch c := repo.Credential; {
	case c.Token != "":
		auth = &githttp.BasicAuth{Username: tokenUser(repo), Password: c.Token}
	case c.Password != "":
		auth = &githttp.BasicAuth{Username: c.Username, Password: c.Password}
	}
	s, err := githttp.NewClient(hc).NewUploadPackSession(ep, auth)
	if err != nil {
		return nil, err
	}
	return &httpWire{UploadPackSession: s, t: t}, nil
}

// tokenUser is the user name that hosts expect beside a token; those not named take
// any.
func tokenUser(repo Repository) string {
	switch {
	case repo.Credential.Username != "":
		return repo.Credential.Username
	case repo.Type == v1alpha1.ProviderGitLab:
		return "oauth2"
	case repo.Type == v1alpha1.ProviderBitbucket, repo.Type == v1alpha1.ProviderBitbucketServer:
		return "x-token-auth"
	}
	return "x-access-token"
}

func (w *httpWire) refs(ctx context.Context) (*packp.AdvRefs, error) {
	return w.AdvertisedReferencesContext(ctx)
}

func (w *httpWire) fetch(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
	return w.UploadPack(ctx, req)
}

func (w *httpWire) reusable() bool   { return true }
func (w *httpWire) readError() error { return w.t.readError() }
func (w *httpWire) close()           { _ = w.Close(); w.t.base.CloseIdleConnections() }
