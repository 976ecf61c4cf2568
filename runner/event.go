package runner

import (
	"time"

	"github.com/buildlocal/buildlocal/reports"
)

// Event says what a build does, while it does it.
type Event struct {
	Kind  Kind
	Time  time.Time
	Phase PhaseType

	Text    string // Said and Noted: the line; CommandBegan and CommandEnded: the command
	Line    int    // of the command in the buildspec; 0 for a command of the image
	Finally bool
	Attempt int    // from 1; above 1 when the phase is run again
	Exit    int    // CommandEnded: exit status
	Place   string // CommandEnded after a failure: the buildspec's line with a caret
	Why     string // CommandEnded after a failure: what is known of its reason; may be empty
	Output  []byte // Printed: what commands print, as it comes; valid during the call only

	Status   Status        // PhaseEnded, BuildEnded
	Context  Context       // PhaseEnded
	Duration time.Duration // CommandEnded, PhaseEnded, BuildEnded

	Plan   *Plan   // BuildBegan
	Record *Record // BuildEnded
	Pull   Pull    // Pulled
	Copy   Copy    // Copying

	Reports *reports.Set // Reported
}

// Kind says what an Event is about.
type Kind string

// The kinds of events. A service's log is made of Said, Command*, Phase* and
// Printed; the others are for a person.
const (
	BuildBegan   Kind = "build_began"
	PhaseBegan   Kind = "phase_began"
	CommandBegan Kind = "command_began"
	Printed      Kind = "output"
	CommandEnded Kind = "command_ended"
	PhaseEnded   Kind = "phase_ended"
	Said         Kind = "agent"   // a line of the service's agent
	Noted        Kind = "note"    // a line the service would not write
	Pulled       Kind = "pull"    // progress of an image's pull
	Copying      Kind = "copying" // progress of a copy that takes long; not part of the JSON events
	Reported     Kind = "reports" // test and coverage reports have been read
	BuildEnded   Kind = "build_ended"
)

// Pull is progress of an image's pull, in bytes. Disk and Free are known when it begins
// (engine.Sized): how large it will be, and how much space there is.
type Pull struct {
	Image   string `json:"image"`
	Layer   string `json:"layer"`
	Status  string `json:"status"`
	Current int64  `json:"current"`
	Total   int64  `json:"total"`
	Disk    int64  `json:"disk,omitempty"`
	Free    int64  `json:"free,omitempty"`
}

// Copy is progress of a copy. What there is in all is 0 if that is not known.
type Copy struct {
	Doing           string // copying or packing
	What            string // artifacts or reports
	Files, AllFiles int
	Bytes, AllBytes int64
}
