package scm

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind tells what a caller can do about an Error.
type Kind string

// The kinds of Error.
const (
	// KindNotFound: Missing is not there. Nothing to retry.
	KindNotFound Kind = "NotFound"
	// KindUnauthorized: the host refused the credential, or wants one.
	KindUnauthorized Kind = "Unauthorized"
	// KindUnreachable: no answer, or none that makes sense; worth a retry.
	KindUnreachable Kind = "Unreachable"
	// KindTooLarge: more bytes than the limits of Options allow.
	KindTooLarge Kind = "TooLarge"
	// KindInvalid: the repository, ref, commit or credential as given cannot work.
	KindInvalid Kind = "Invalid"
)

// Missing tells what is not there.
type Missing string

// What can be missing.
const (
	MissingRepository Missing = "repository"
	MissingRef        Missing = "ref"
	MissingCommit     Missing = "commit"
	MissingFile       Missing = "file"
)

// Error is what Reader returns. Its text never holds a credential, and it unwraps
// to nothing but a context's error, so that no other text can slip out.
type Error struct {
	Kind    Kind
	Missing Missing // set when Kind is KindNotFound
	Message string

	cause error // context.Canceled, context.DeadlineExceeded or nil
}

// Error is the message.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the context's error, if that was the cause.
func (e *Error) Unwrap() error { return e.cause }

// IsNotFound reports whether err says that one of what is not there.
func IsNotFound(err error, what ...Missing) bool {
	var e *Error
	if !errors.As(err, &e) || e.Kind != KindNotFound {
		return false
	}
	return len(what) == 0 || slices.Contains(what, e.Missing)
}

// KindOf is the kind of err, or "" when it is not an Error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

func errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

func notFound(what Missing, format string, args ...any) *Error {
	return &Error{Kind: KindNotFound, Missing: what, Message: fmt.Sprintf(format, args...)}
}

// maxMessage bounds what a host can put into our conditions and logs.
const maxMessage = 512

// clean makes an error fit for a condition: no credential, no control characters,
// one line, bounded.
func (c Credential) clean(err *Error) *Error {
	text := err.Message
	for _, secret := range []string{c.Token, c.Password, c.SSHPrivateKey} {
		if len(secret) >= 4 { // shorter ones would blank out half the text and protect nothing
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	out := *err
	out.Message = text
	return &out
}
