package runner

import (
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/reports"
)

// Event reports the progress of a build. The kind determines which fields are set. All its
// texts are masked.
type Event struct {
	Kind  Kind
	Time  time.Time
	Phase PhaseType

	Text    string // Said and Noted: the line; CommandBegan and CommandEnded: the command
	Line    int    // of the command in the buildspec; 0 for a command of the image
	Finally bool
	Attempt int    // from 1; above 1 when the phase is run again
	Exit    int    // CommandEnded: exit status
	Lost    bool   // CommandEnded: the container or its shell ended before the command did
	At      string // place of the command in the build, such as build:2 or build:finally:1; image for one of the image
	Topic   string // Noted: cache, or "" for other notes
	Why     string // CommandEnded after a failure: a hint about the reason; may be empty
	Output  []byte // Printed: output of commands, unbuffered; valid during the call only
	// Errors are the offsets of lines that look like errors, in bytes from the beginning of
	// the command's output. Printed has those that are complete since the last event.
	Errors []int64

	// Hints may explain a failed command, each as "lint: TEXT" or "hint: TEXT", the likeliest
	// first: CommandEnded and PhaseEnded after a failure.
	Hints []string
	// Problem is the position in the buildspec of a failed command or phase (CommandEnded and
	// PhaseEnded), or of the cause of a note (Noted). It is nil after success and if the position
	// is unknown. Without a file and a line it is about another document, such as the project.
	Problem *diag.Problem

	Status   Status        // PhaseEnded, BuildEnded; CommandEnded for a command that was stopped or timed out
	Context  Context       // PhaseEnded
	Duration time.Duration // CommandEnded, PhaseEnded, BuildEnded

	Plan   *Plan   // BuildBegan
	Record *Record // BuildEnded
	Pull   Pull    // Pulled
	Copy   Copy    // Copying

	Stop   *Stop  // Stopped
	Answer Action // Resumed

	Reports *reports.Set // Reported
	Fault   error        // BuildEnded: the masked cause of a fault; nil without one
}

// Kind is the kind of an Event.
type Kind string

// The kinds of events. The log of the service consists of Said, Command*, Phase* and
// Printed; the other kinds are additional information for the user.
const (
	BuildBegan   Kind = "build_began"
	PhaseBegan   Kind = "phase_began"
	CommandBegan Kind = "command_began"
	Printed      Kind = "output"
	CommandEnded Kind = "command_ended"
	PhaseEnded   Kind = "phase_ended"
	Said         Kind = "agent"   // a line of the service's agent
	Noted        Kind = "note"    // a line that the service does not have
	Pulled       Kind = "pull"    // progress of pulling the image
	Copying      Kind = "copying" // progress of a copy that takes long; not part of the JSON events
	Reported     Kind = "reports" // test and coverage reports have been read
	BuildEnded   Kind = "build_ended"
	// The build waits at a stop, and goes on.
	StoppedAt     Kind = "stopped"
	Resumed       Kind = "resumed"
	ChangedByHand Kind = "by_hand" // the user has changed the build
)

// Pull is the progress of pulling an image, in bytes. Disk and Free, the size of the image
// on disk and the free space there, are set in the first event (engine.Sized).
type Pull struct {
	Image   string `json:"image"`
	Layer   string `json:"layer"`
	Status  string `json:"status"`
	Current int64  `json:"current"`
	Total   int64  `json:"total"`
	Disk    int64  `json:"disk,omitempty"`
	Free    int64  `json:"free,omitempty"`
}

// Copy is the progress of a copy. The totals AllFiles and AllBytes are 0 if unknown.
type Copy struct {
	Doing           string // copying, packing or saving
	What            string // artifacts, reports or cache
	Files, AllFiles int
	Bytes, AllBytes int64
}
