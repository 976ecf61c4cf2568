package engine

import (
	"errors"
	"strings"
)

// Fault is an error of the engine or the host that a user can resolve.
type Fault struct {
	Kind    Kind
	Message string // operation and cause, in lower case and without a full stop
	Hint    string // the next step, a sentence that begins with a verb; may be empty, or have several lines
	// Instead are images that the engine has, for the fault of one that it does not have.
	Instead []string
	Err     error // the cause, for errors.Is; may be nil
}

// Kind classifies faults for callers that react to one of them.
type Kind string

// The kinds of Fault.
const (
	NoEngine     Kind = "no-engine"            // no engine accepts connections
	NoPermission Kind = "no-permission"        // the user may not use the engine or a file
	NoImage      Kind = "no-image"             // the image does not exist, or is damaged
	WrongArch    Kind = "wrong-architecture"   // the host cannot run programs of the image
	NoShell      Kind = "no-shell"             // the image has no sh
	DiskFull     Kind = "disk-full"            // of the host, or of the engine's
	NoRegistry   Kind = "registry-unreachable" // network, proxy, certificate or rate limit
	Died         Kind = "container-died"       // the container ended before the build did
	Refused      Kind = "refused"              // the engine rejects a setting
)

// Error returns the message and, on further lines, the images that the engine has and the hint.
func (f *Fault) Error() string {
	lines := []string{f.Message}
	if len(f.Instead) > 0 {
		lines = append(lines, "  here: "+strings.Join(f.Instead, ", "))
	}
	if f.Hint != "" {
		lines = append(lines, f.Hint)
	}
	return strings.Join(lines, "\n")
}

// MostSpecific returns the first error of a list, which must not be empty, that is not
// NoImage, or else the last. If an image has several spellings, an unknown name says less
// about the reason than, for example, a missing login.
func MostSpecific(errs []error) error {
	for _, err := range errs {
		var f *Fault
		if !errors.As(err, &f) || f.Kind != NoImage {
			return err
		}
	}
	return errs[len(errs)-1]
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }

// NoShellHint is the hint of a NoShell fault.
const NoShellHint = "Add a shell to the image, or choose another one with -i."

// NoShellMessage returns the message of a NoShell fault.
func NoShellMessage(image string) string { return "image " + image + " has no sh, which a build needs" }
