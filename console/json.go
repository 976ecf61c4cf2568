package console

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// EventVersion is the version of the JSON events. Fields are only ever added; the version
// grows when one changes its meaning. Programs can ignore fields and events that they do
// not know.
const EventVersion = 1

// JSON writes one event a line, as one JSON object; docs/events.md describes them. The order
// is that of the build.
type JSON struct {
	w    io.Writer
	cut  []byte       // the beginning of a character whose rest has not arrived
	last runner.Event // the last output, whose time and phase the rest gets
	err  error
}

// NewJSON returns a JSON that writes to w.
func NewJSON(w io.Writer) *JSON { return &JSON{w: w} }

// Err returns the first error of the writer. Later events are not written differently: the
// caller stops the build.
func (j *JSON) Err() error { return j.err }

// message is the wire form of an event. Pointers distinguish a zero, such as the exit status
// of a successful command, from a field that the event does not have.
type message struct {
	Version      int              `json:"version"`
	Event        runner.Kind      `json:"event"`
	Time         time.Time        `json:"time"`
	Phase        runner.PhaseType `json:"phase,omitempty"`
	Text         string           `json:"text,omitempty"`
	Line         int              `json:"line,omitempty"`
	At           string           `json:"at,omitempty"`
	Topic        string           `json:"topic,omitempty"`
	Finally      bool             `json:"finally,omitempty"`
	Attempt      int              `json:"attempt,omitempty"`
	Exit         *int             `json:"exitStatus,omitempty"`
	Why          string           `json:"reason,omitempty"`
	Output       *string          `json:"output,omitempty"`
	Bytes        []byte           `json:"outputBase64,omitempty"`
	Status       runner.Status    `json:"status,omitempty"`
	Context      *runner.Context  `json:"context,omitempty"`
	Milliseconds *int64           `json:"durationInMilliseconds,omitempty"`
	Pull         *runner.Pull     `json:"pull,omitempty"`
	BuildID      string           `json:"buildId,omitempty"`
	Engine       string           `json:"engine,omitempty"`
	Image        *json.RawMessage `json:"image,omitempty"` // a string, or null if no image is used
	Configured   string           `json:"configuredImage,omitempty"`
	Build        *runner.Record   `json:"build,omitempty"`
	Reports      *reports.Set     `json:"reports,omitempty"`
	Answer       runner.Action    `json:"answer,omitempty"`
	By           string           `json:"by,omitempty"`
	Problem      *jsonProblem     `json:"problem,omitempty"`
	Hints        []string         `json:"hints,omitempty"`
	Files        []string         `json:"files,omitempty"`
	Count        int              `json:"count,omitempty"`
}

// WatchChanged is the event of watch that comes before a build which changed files have caused.
const WatchChanged runner.Kind = "watch_changed"

// Changed writes that files have changed, before the build that they cause.
func (j *JSON) Changed(at time.Time, files []string) {
	const maxFiles = 100
	j.write(message{Version: EventVersion, Event: WatchChanged, Time: at, Count: len(files),
		Files: files[:min(len(files), maxFiles)]})
}

// Notify writes an event.
func (j *JSON) Notify(e runner.Event) {
	if e.Kind == runner.Printed {
		j.output(e)
		return
	}
	if e.Kind == runner.Copying {
		return // progress for people who wait; programs see the result
	}
	j.rest() // of output, which the event follows
	m := message{Version: EventVersion, Event: e.Kind, Time: e.Time, Phase: e.Phase, Text: e.Text, Line: e.Line, At: e.At,
		Topic: e.Topic, Finally: e.Finally, Attempt: e.Attempt, Status: e.Status,
		Build: e.Record, Reports: e.Reports, Hints: e.Hints}
	if e.Problem != nil {
		problem := jsonOf(*e.Problem)
		m.Problem = &problem
	}
	ms := e.Duration.Milliseconds()
	switch e.Kind {
	case runner.CommandEnded:
		m.Exit, m.Milliseconds, m.Why = &e.Exit, &ms, e.Why
	case runner.StoppedAt:
		m.Why = e.Why
		if e.Stop.Failed() {
			m.Exit = &e.Exit
		}
	case runner.Resumed:
		m.Text, m.By, m.Answer = "", e.Text, e.Answer
	case runner.PhaseEnded:
		m.Context, m.Milliseconds = &e.Context, &ms
	case runner.BuildEnded:
		m.Milliseconds = &ms
	case runner.Pulled:
		m.Pull = &e.Pull
	case runner.BuildBegan:
		m.began(e.Plan)
	}
	j.write(m)
}

// began adds where a build runs. The image is null if the build runs on the host's own files.
func (m *message) began(p *runner.Plan) {
	m.BuildID = p.Identity.BuildID()
	m.Engine, _, _ = strings.Cut(p.Engine, " ")
	image := json.RawMessage("null")
	if p.Place == "" {
		image, _ = json.Marshal(p.Image) // a string has no errors
	} else {
		m.Configured = p.Image
	}
	m.Image = &image
}

// output writes a piece of a command's output: as a string if it is UTF-8, else as base64.
// Pieces are cut anywhere, so the beginning of a character at the end waits for the next
// piece; otherwise both halves would be invalid.
func (j *JSON) output(e runner.Event) {
	text := append(j.cut, e.Output...)
	j.cut, j.last = nil, e
	if n := incomplete(text); n > 0 {
		j.cut = bytes.Clone(text[len(text)-n:])
		text = text[:len(text)-n]
	}
	j.emit(text)
}

// rest writes a character that stayed incomplete.
func (j *JSON) rest() {
	text := j.cut
	j.cut = nil
	j.emit(text)
}

// emit writes output as an event.
func (j *JSON) emit(text []byte) {
	if len(text) == 0 {
		return
	}
	m := message{Version: EventVersion, Event: runner.Printed, Time: j.last.Time, Phase: j.last.Phase}
	if utf8.Valid(text) {
		s := string(text)
		m.Output = &s
	} else {
		m.Bytes = text
	}
	j.write(m)
}

// incomplete returns how many bytes at the end are the beginning of a character: 0 to 3.
// Invalid bytes are not, because no rest can complete them.
func incomplete(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		tail := text[len(text)-n:]
		if utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// write writes one line. Invisible characters are escaped, because people look at the lines
// in terminals too, and JSON has escapes for them.
func (j *JSON) write(m message) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // commands are full of < and >
	err := encoder.Encode(m)
	if err == nil {
		_, err = io.WriteString(j.w, diag.EscapeJSON(line.String()))
	}
	if j.err == nil {
		j.err = err
	}
}
