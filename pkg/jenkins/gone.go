package jenkins

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// taken tells whether an item was not made because its name is in use. Jenkins says so with 400 and a reason; of an item that our
// account may not see it gives no reason; and of one that it may know of, but not read, the answer is an error page.
func taken(err error) bool {
	return is(err, func(e *Error) bool {
		return e.Status == http.StatusBadRequest || e.Status == http.StatusConflict ||
			e.Status == http.StatusInternalServerError && strings.Contains(e.Snippet, "already exists")
	})
}

// Gone makes sure that a job for which Jenkins answers 404 is not there. Jenkins says the same of a job that our account may not
// see, but a name can be in use once only: a job of that name is made, of which any build would fail. If that succeeds, the job was
// gone, and nil is returned. The new one is ours: [Client.EnsureJob] with this uid takes it over, [Client.DeleteJob] removes it.
//
// The error is [ErrHidden] for a job that is there, and whatever Jenkins says when it cannot be found out.
func (c *Client) Gone(ctx context.Context, ref JobRef, uid string) error {
	config, _, err := configXML(Job{Ref: ref, UID: uid, Script: "error('this job was made to find out whether it was gone')\n"})
	if err != nil {
		return err
	}
	return wrap(c.gone(ctx, ref, config), "find out whether job %s is gone", ref)
}

func (c *Client) gone(ctx context.Context, ref JobRef, config string) error {
	err := c.createItem(ctx, ref, config)
	switch {
	case taken(err):
		return fmt.Errorf("%s is %w", ref, ErrHidden)
	case IsNotFound(err) && ref.Folder != "":
		// The same question about the folder. One that was gone held no job.
		return c.gone(ctx, parentOf(ref), folderXML)
	}
	return err
}

// parentOf is the folder of a job or folder.
func parentOf(ref JobRef) JobRef {
	if i := strings.LastIndexByte(ref.Folder, '/'); i >= 0 {
		return JobRef{ref.Folder[:i], ref.Folder[i+1:]}
	}
	return JobRef{"", ref.Folder}
}

// DeleteJob deletes the job of an execution with its builds. One that is gone is success, and so is one that belongs to somebody
// else, which is left alone; one that Jenkins hides from our account is [ErrHidden]. Running builds are interrupted by Jenkins
// first; when they do not end within its 15 seconds, the error is a conflict ([IsConflict]) and the deletion may be asked for again.
func (c *Client) DeleteJob(ctx context.Context, ref JobRef, uid string) error {
	return wrap(c.deleteJob(ctx, ref, uid), "delete job %s", ref)
}

func (c *Client) deleteJob(ctx context.Context, ref JobRef, uid string) error {
	ours, err := c.owns(ctx, ref, uid)
	switch {
	case IsNotFound(err):
		if err := c.Gone(ctx, ref, uid); err != nil { // it makes one, to be deleted now
			return err
		}
	case err != nil:
		return err
	case !ours:
		return nil
	}
	if err = c.delete(ctx, ref); IsNotFound(err) {
		return nil // in a folder that was gone, or somebody was faster
	}
	return err
}

// owns tells whether a job is that of the execution: its description says so or, where somebody edited that, one of its builds does.
func (c *Client) owns(ctx context.Context, ref JobRef, uid string) (bool, error) {
	var out struct {
		rawJob
		Description string `json:"description"`
	}
	if _, err := c.getJSON(ctx, ref.path()+"/api/json", "description,"+jobTree+"{0,5},queueItem["+itemTree+"]", maxJSON, &out); err != nil {
		return false, err
	}
	if m := marker.FindStringSubmatch(out.Description); m != nil {
		return m[1] == uid, nil
	}
	return out.QueueItem != nil && out.QueueItem.item().UID == uid ||
		slices.ContainsFunc(out.state().Builds, func(b Build) bool { return b.UID == uid }), nil
}

// DeleteFolder deletes a folder with everything in it. A folder that is not there, or that is hidden from our account, is success.
func (c *Client) DeleteFolder(ctx context.Context, folder string) error {
	if folder == "" {
		return fmt.Errorf("delete the root folder: %w", ErrInvalid)
	}
	err := c.delete(ctx, parentOf(JobRef{folder, ""}))
	if IsNotFound(err) {
		return nil
	}
	return wrap(err, "delete folder %s", folder)
}

func (c *Client) delete(ctx context.Context, ref JobRef) error {
	// The trailing slash matters: without it Jenkins redirects, and a redirected DELETE is nobody's.
	_, err := c.do(ctx, call{method: http.MethodDelete, path: ref.path() + "/"})
	return err
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
