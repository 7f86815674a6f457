package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-pipeline/kubectl-pipeline/pkg/apis/pipeline/v1alpha1"
)

// hintError is an error and what to do about it.
type hintError struct {
	cause error
	hint  string
}

func (e *hintError) Error() string { return e.cause.Error() }
func (e *hintError) Unwrap() error { return e.cause }

func hinted(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &hintError{cause: err, hint: hint}
}

func hintOf(err error) string {
	if h, ok := errors.AsType[*hintError](err); ok {
		return h.hint
	}
	return ""
}

// report says what went wrong on standard error and returns the exit code.
func (a *app) report(err error, cmd *cobra.Command) int {
	if err == nil {
		return exitOK
	}
	if readerGone(err) {
		return exitBrokenPipe
	}
	code := exitError
	if e, ok := errors.AsType[*exit](err); ok {
		code = e.code
		if e.cause == nil {
			return code
		}
	}
	message, hint := explain(err)
	if name, ok := strings.CutPrefix(message, "unknown command "); ok && cmd != nil {
		hint = unknownCommandHint(name, cmd)
	}
	s := a.style(a.ErrOut)
	fmt.Fprintf(a.ErrOut, "%s %s\n", s.paint(red, "error:"), message)
	if hint != "" {
		fmt.Fprintf(a.ErrOut, "%s %s\n", s.paint(dim, "hint:"), hint)
	}
	return code
}

// readerGone tells that whoever read our output went away: a file's broken pipe, not a
// connection's.
func readerGone(err error) bool {
	_, file := errors.AsType[*fs.PathError](err)
	return file && errors.Is(err, syscall.EPIPE)
}

// explain turns an error into what a person needs: the cause, and the next thing to do.
// The words for the API server's errors are kubectl's.
func explain(err error) (message, hint string) {
	message, hint = err.Error(), hintOf(err)
	or := func(h string) string {
		if hint != "" {
			return hint
		}
		return h
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return explainStatus(err, status.Status(), message, or)
	}
	var dns *net.DNSError
	var requested *url.Error
	var unknownCA x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	switch {
	case clientcmd.IsEmptyConfig(err):
		return "no cluster is configured", or("set KUBECONFIG, or pass --kubeconfig or --context")
	case clientcmd.IsContextNotFound(err):
		return message, or("kubectl config get-contexts")
	case errors.As(err, &unknownCA), errors.As(err, &wrongHost):
		return message, or("check certificate-authority in the kubeconfig, or pass --certificate-authority")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("the connection to the server %s was refused", hostOf(err)), or("is it running, and is --context the right one?")
	case errors.As(err, &dns):
		return fmt.Sprintf("cannot find the server %s: %s", dns.Name, dns.Err), or("is --context the right one, and is the network (VPN) up?")
	case errors.Is(err, context.DeadlineExceeded) && errors.As(err, &requested):
		return fmt.Sprintf("the server %s did not answer in time", hostOf(err)), or("try again, or raise --request-timeout")
	}
	return message, hint
}

func explainStatus(err error, s metav1.Status, message string, or func(string) string) (string, string) {
	switch {
	case isNoSuchResource(err):
		return fmt.Sprintf("the cluster does not serve %s: kubectl-pipeline is not installed there, or is older", v1alpha1.SchemeGroupVersion),
			or("kubectl pipeline install")
	case apierrors.IsUnauthorized(err):
		return "you must be logged in to the server: " + message, or("check the user of this context: kubectl config view --minify")
	case apierrors.IsForbidden(err):
		if s.Details != nil && s.Details.Kind != "" {
			return message, or(fmt.Sprintf("ask for a role with access to %s; kubectl auth can-i --list shows what you have", qualified(s.Details)))
		}
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err):
		return message, or("the API server is busy or starting; try again")
	case apierrors.IsConflict(err):
		return message, or("somebody changed it at the same moment; try again")
	}
	return message, or("")
}

func qualified(d *metav1.StatusDetails) string {
	if d.Group == "" {
		return d.Kind
	}
	return d.Kind + "." + d.Group
}

// isNoSuchResource tells a path that the API server does not know (no CRD) from an
// object that does not exist: only the second names an object.
func isNoSuchResource(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return false
	}
	s := status.Status()
	if s.Details == nil {
		return true
	}
	for _, c := range s.Details.Causes {
		if c.Type == metav1.CauseTypeUnexpectedServerResponse {
			return true
		}
	}
	return s.Details.Name == ""
}

func hostOf(err error) string {
	if u, ok := errors.AsType[*url.Error](err); ok {
		if parsed, perr := url.Parse(u.URL); perr == nil {
			return parsed.Host
		}
	}
	return "(unknown)"
}

func unknownCommandHint(quoted string, cmd *cobra.Command) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(quoted, `"`), `"`)
	var names []string
	for _, c := range cmd.Root().Commands() {
		names = append(names, c.Name())
	}
	if near := nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %s %s?", cmd.Root().DisplayName(), near)
	}
	return cmd.Root().DisplayName() + " --help lists the commands"
}
