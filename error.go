package sekisho

import (
	"errors"
	"fmt"
)

// Kind classes an error once, where it is known; the edge turns it into an
// exit status, an HTTP status or an admission answer.
type Kind int

// The kinds of errors.
const (
	Internal    Kind = iota
	Usage            // the caller's words are off
	Invalid          // the input does not have its form
	NotFound         // what was named is not there
	Forbidden        // credentials are missing or refused
	Unavailable      // a service does not answer
	Corrupt          // content does not match its digest
	Denied           // a policy says no
)

// Error is an error with a kind and, for people, a hint at what to do.
type Error struct {
	Kind Kind
	Hint string // catalogue-free, short, may be empty
	Err  error
}

// Error returns the message without the hint.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind; it wraps with %w as fmt.Errorf does.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Err: fmt.Errorf(format, args...)}
}

// WithHint adds what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// KindOf returns the kind of the outermost Error in err's chain.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}
