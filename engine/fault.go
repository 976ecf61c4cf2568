package engine

// Fault is an error of the engine or the machine that a user can do something
// about.
type Fault struct {
	Kind    Kind
	Message string // what was tried and what came of it
	Way     string // the way out, one sentence; may be empty
	Err     error  // the cause, for errors.Is; may be nil
}

// Kind tells faults apart, for who asks with errors.As.
type Kind string

// The kinds of Fault.
const (
	NoEngine     Kind = "no-engine"
	NoPermission Kind = "no-permission"
	NoImage      Kind = "no-image"
	WrongArch    Kind = "wrong-architecture"
	NoShell      Kind = "no-shell"
	DiskFull     Kind = "disk-full"
	NoRegistry   Kind = "registry-unreachable"
	Died         Kind = "container-died"
	Refused      Kind = "refused"
)

// Error returns the message and, on a line of its own, the way out.
func (f *Fault) Error() string {
	if f.Way == "" {
		return f.Message
	}
	return f.Message + "\n" + f.Way
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }
