//go:build !linux

package overlay

import (
	"context"
	"errors"
	"time"
)

// Hide is not supported: there are no overlays.
func Hide(_, _ string, _ []string, _ bool) error { return errors.ErrUnsupported }

// Put is not supported: there are no overlays.
func Put(_, _ string, _ File, _ bool) error { return errors.ErrUnsupported }

// Written returns false: there are no overlays.
func Written(_, _ string) bool { return false }

// Untouched returns false: there are no overlays.
func Untouched(_, _ string) bool { return false }

// MayHave returns true: there are no overlays.
func MayHave(_, _ string, _ func(name string) bool) bool { return true }

// CopyTo is not supported: there are no overlays.
func CopyTo(_ context.Context, _, _, _ string, _ time.Time) (int64, error) {
	return 0, errors.ErrUnsupported
}

// Changes is not supported: there are no overlays.
func Changes(context.Context, string, func(string) (there, dir bool)) ([]Change, error) {
	return nil, errors.ErrUnsupported
}

// Exists returns a function that finds nothing.
func Exists(...string) func(name string) (there, dir bool) {
	return func(string) (bool, bool) { return false, false }
}

// LinkTo is not supported: there are no overlays.
func LinkTo(context.Context, string, string) error { return errors.ErrUnsupported }
