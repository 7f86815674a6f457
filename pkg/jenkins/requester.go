package jenkins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/bndr/gojenkins"
)

// requester puts our transport under gojenkins' typed calls. gojenkins' own requester panics when a crumb cannot be fetched, leaks
// connections on X-Error, follows redirects and cannot tell 404 from 503.
//
// Used of gojenkins v1.2.0: Job.Create and Job.UpdateConfig. Not used, because they act on answers without looking at the status,
// address by url, sleep without a context or decode into types that do not fit: Init, GetJob, GetBuild, InvokeSimple,
// GetBuildFromQueueID, Stop, Delete, CreateFolder, GetConsoleOutput, GetPipelineRun and everything below it. Those verbs are plain
// requests of ours.
type requester struct{ c *Client }

var _ gojenkins.JenkinsRequester = requester{}

// errNoPoll keeps gojenkins from reading a whole job after each change. Its typed calls ignore the outcome of that read.
var errNoPoll = errors.New("reading back is not wanted")

func (r requester) exchange(ctx context.Context, k call, out any, query map[string]string) (*http.Response, error) {
	k.query = url.Values{}
	for name, value := range query {
		k.query.Set(name, value)
	}
	ans, err := r.c.do(ctx, k)
	if err != nil {
		return nil, err
	}
	switch out := out.(type) {
	case nil:
	case *string:
		*out = string(ans.body)
	default:
		if len(bytes.TrimSpace(ans.body)) > 0 && strings.Contains(ans.header.Get("Content-Type"), "json") {
			if err := k.decode(ans, out); err != nil {
				return nil, err
			}
		}
	}
	return &http.Response{StatusCode: ans.status, Header: ans.header, Body: http.NoBody}, nil
}

func (r requester) GetJSON(context.Context, string, any, map[string]string) (*http.Response, error) {
	return nil, errNoPoll
}

func (r requester) Get(ctx context.Context, endpoint string, out any, query map[string]string) (*http.Response, error) {
	return r.exchange(ctx, call{method: http.MethodGet, path: endpoint, accept: "*/*", limit: maxJSON}, out, query)
}

func (r requester) GetXML(ctx context.Context, endpoint string, out any, query map[string]string) (*http.Response, error) {
	return r.exchange(ctx, call{method: http.MethodGet, path: endpoint, accept: "application/xml", limit: maxJSON}, out, query)
}

func (r requester) Post(ctx context.Context, endpoint string, body io.Reader, out any, query map[string]string) (*http.Response, error) {
	text, err := readPayload(body)
	if err != nil {
		return nil, err
	}
	k := call{method: http.MethodPost, path: endpoint, body: text, ctype: "application/x-www-form-urlencoded", redirect: true}
	return r.exchange(ctx, k, out, query)
}

func (r requester) PostJSON(ctx context.Context, endpoint string, body io.Reader, out any, query map[string]string) (*http.Response, error) {
	return r.Post(ctx, strings.TrimRight(endpoint, "/")+"/api/json", body, out, query)
}

// PostXML always names the charset: Jenkins reads a config.xml without one as ISO-8859-1.
func (r requester) PostXML(ctx context.Context, endpoint, xml string, out any, query map[string]string) (*http.Response, error) {
	return r.exchange(ctx, call{method: http.MethodPost, path: endpoint, body: xml, ctype: "application/xml;charset=utf-8"}, out, query)
}

func (r requester) PostFiles(context.Context, string, io.Reader, any, map[string]string, []string) (*http.Response, error) {
	return nil, fmt.Errorf("upload files: %w", errors.ErrUnsupported)
}

func readPayload(body io.Reader) (string, error) {
	if body == nil {
		return "", nil
	}
	text, err := io.ReadAll(io.LimitReader(body, maxJSON))
	return string(text), err
}

// job is gojenkins' handle on a job, addressed by our path.
func (c *Client) job(path string) *gojenkins.Job {
	return &gojenkins.Job{Jenkins: c.jenkins, Raw: new(gojenkins.JobResponse), Base: path}
}

// guard turns a panic of gojenkins into an error: one odd answer must not end a controller that serves many projects.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("gojenkins panicked: %v", p)
		}
	}()
	return f()
}
