package engine

// Fault is an error of the engine or the host that a user can resolve.
type Fault struct {
	Kind    Kind
	Message string // operation and cause, in lower case and without a full stop
	Hint    string // the next step, a sentence that begins with a verb; may be empty
	Err     error  // the cause, for errors.Is; may be nil
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

// Error returns the message and, on a second line, the hint.
func (f *Fault) Error() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + "\n" + f.Hint
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }
