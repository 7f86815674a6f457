package jenkinstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Remote steers a double that is another program, through its [Server.Control].
type Remote struct {
	URL    string // of the control, e.g. http://127.0.0.1:8090
	Secret string
	HTTP   *http.Client // nil: one that gives up after a minute
}

// Snapshot is [Server.Snapshot].
func (r Remote) Snapshot(ctx context.Context, logs bool) (Snapshot, error) {
	var snap Snapshot
	return snap, r.call(ctx, http.MethodGet, "/state?logs="+strconv.FormatBool(logs), nil, &snap)
}

// Config is [Server.Config].
func (r Remote) Config(ctx context.Context, job string) (string, error) {
	var config string
	return config, r.call(ctx, http.MethodGet, "/config?job="+url.QueryEscape(job), nil, &config)
}

// Requests is [Server.Requests].
func (r Remote) Requests(ctx context.Context) ([]string, error) {
	var all []string
	return all, r.call(ctx, http.MethodGet, "/requests", nil, &all)
}

// Spoil is [Server.Spoil].
func (r Remote) Spoil(ctx context.Context, f Fault) error {
	return r.call(ctx, http.MethodPost, "/faults", f, nil)
}

// Mend is [Server.Mend].
func (r Remote) Mend(ctx context.Context) error {
	return r.call(ctx, http.MethodDelete, "/faults", nil, nil)
}

// Restart is [Server.Restart].
func (r Remote) Restart(ctx context.Context, o RestartOptions) (lost []BuildInfo, err error) {
	err = r.call(ctx, http.MethodPost, "/restart", o, &lost)
	return lost, err
}

// SetDown is [Server.SetDown].
func (r Remote) SetDown(ctx context.Context, down bool) error {
	return r.call(ctx, http.MethodPost, "/mode", modeOrder{Down: &down}, nil)
}

// SetQuiet is [Server.SetQuiet].
func (r Remote) SetQuiet(ctx context.Context, quiet bool) error {
	return r.call(ctx, http.MethodPost, "/mode", modeOrder{Quiet: &quiet}, nil)
}

// SetBroken is [Server.SetBroken].
func (r Remote) SetBroken(ctx context.Context, broken bool) error {
	return r.call(ctx, http.MethodPost, "/mode", modeOrder{Broken: &broken}, nil)
}

// DenyAt is [Server.DenyAt].
func (r Remote) DenyAt(ctx context.Context, d Denial) error {
	return r.call(ctx, http.MethodPost, "/deny", d, nil)
}

// AllowAt is [Server.AllowAt].
func (r Remote) AllowAt(ctx context.Context, d Denial) error {
	return r.call(ctx, http.MethodPost, "/allow", d, nil)
}

// SetAccount is [Server.SetAccount].
func (r Remote) SetAccount(ctx context.Context, a Account) error {
	return r.call(ctx, http.MethodPost, "/account", a, nil)
}

// SetResult is [Server.SetResult].
func (r Remote) SetResult(ctx context.Context, job string, number int, result string) error {
	return r.call(ctx, http.MethodPost, "/result", resultOrder{job, number, result}, nil)
}

// AppendLog is [Server.AppendLog].
func (r Remote) AppendLog(ctx context.Context, job string, number int, text string) error {
	return r.call(ctx, http.MethodPost, "/log", logOrder{job, number, text}, nil)
}

func (r Remote) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("control double: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("control double: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Secret)
	client := r.HTTP
	if client == nil {
		client = &http.Client{Timeout: time.Minute}
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("control double: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("control double: %w", err)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("control double: %s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(text))
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("control double: %s %s: %w", method, path, err)
	}
	return nil
}
