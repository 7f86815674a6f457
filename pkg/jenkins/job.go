package jenkins

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Job is a Pipeline job as we want it: one per execution.
type Job struct {
	Ref         JobRef
	UID         string // of the execution; what makes a job ours
	Script      string // the Jenkinsfile; run in the sandbox
	Description string // shown in Jenkins, plain text; may be empty
}

// EnsureFolder makes sure that the folder exists. Of a path of several levels it creates what is missing. A thing of that name
// that is not a folder is [ErrNameConflict].
func (c *Client) EnsureFolder(ctx context.Context, folder string) error {
	if folder == "" {
		return nil
	}
	ref := parentOf(JobRef{folder, ""})
	err := c.createItem(ctx, ref, folderXML)
	if IsNotFound(err) && ref.Folder != "" {
		if err := c.EnsureFolder(ctx, ref.Folder); err != nil {
			return err
		}
		err = c.createItem(ctx, ref, folderXML)
	}
	if err == nil || !taken(err) {
		return wrap(err, "create folder %s", folder)
	}
	var found struct {
		Class string `json:"_class"`
	}
	if _, getErr := c.getJSON(ctx, ref.path()+"/api/json", "name", maxJSON, &found); getErr != nil {
		if IsNotFound(getErr) {
			getErr = refused(err)
		}
		return fmt.Errorf("create folder %s: %w", folder, getErr)
	}
	if !strings.HasSuffix(found.Class, "Folder") {
		return fmt.Errorf("create folder %s: %w by a %s", folder, ErrNameConflict, found.Class)
	}
	return nil
}

// EnsureJob makes sure that the job exists with this script, and its folder with it. It reports whether it created the job.
//
// An existing job is taken over only when its description carries the same UID; else the error is [ErrNameConflict]. Its config is
// replaced when it differs, but never while a build runs: that build has read its script already.
func (c *Client) EnsureJob(ctx context.Context, j Job) (created bool, err error) {
	config, hash, err := configXML(j)
	if err != nil {
		return false, err
	}
	err = c.createItem(ctx, j.Ref, config)
	if IsNotFound(err) && j.Ref.Folder != "" {
		if err := c.EnsureFolder(ctx, j.Ref.Folder); err != nil {
			return false, err
		}
		err = c.createItem(ctx, j.Ref, config)
	}
	if err == nil {
		return true, nil
	}
	if !taken(err) {
		return false, fmt.Errorf("create job %s: %w", j.Ref, err)
	}
	uid, have, ok, getErr := c.readJob(ctx, j.Ref)
	switch {
	case IsNotFound(getErr):
		return false, fmt.Errorf("create job %s: %w", j.Ref, refused(err))
	case getErr != nil:
		return false, fmt.Errorf("read job %s: %w", j.Ref, getErr)
	case !ok:
		return false, fmt.Errorf("create job %s: %w by a job that is not ours", j.Ref, ErrNameConflict)
	case uid != j.UID:
		return false, fmt.Errorf("create job %s: %w by the execution with uid %s", j.Ref, ErrNameConflict, uid)
	case have == hash:
		return false, nil
	}
	ev, err := c.Find(ctx, j.Ref, j.UID)
	if err != nil {
		return false, err
	}
	for _, b := range ev.Builds {
		if b.Building {
			return false, nil
		}
	}
	err = guard(func() error { return c.job(j.Ref.path()).UpdateConfig(ctx, config) })
	return false, wrap(err, "update job %s", j.Ref)
}

// refused says why an item was not made that is not to be seen either: it is hidden; or Jenkins has another reason, which it names.
func refused(err error) error {
	var e *Error
	if errors.As(err, &e) && e.XError != "" && !strings.Contains(e.XError, "already exists") {
		return err
	}
	return fmt.Errorf("%w: %w", ErrHidden, err)
}

// createItem posts a new item. A lost answer needs no care here: creating again ends in "already exists", which leads to our marker.
func (c *Client) createItem(ctx context.Context, ref JobRef, config string) error {
	return guard(func() error {
		_, err := c.job(ref.path()).Create(ctx, config, map[string]string{"name": ref.Name})
		return err
	})
}

func (c *Client) readJob(ctx context.Context, ref JobRef) (uid, hash string, ours bool, err error) {
	k := call{method: http.MethodGet, path: ref.path() + "/config.xml", accept: "application/xml", limit: 2 * maxConfig}
	ans, err := c.do(ctx, k)
	if err != nil {
		return "", "", false, err
	}
	if !strings.Contains(ans.header.Get("Content-Type"), "xml") {
		return "", "", false, k.malformed(ans, errors.New("the answer is not XML"))
	}
	uid, hash, ours = readMarker(string(ans.body))
	return uid, hash, ours, nil
}
