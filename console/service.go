package console

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/runner"
)

// stampLayout is the layout of the time in CodeBuild's log, in UTC. Microseconds are
// observed since the end of 2023.
const stampLayout = "2006/01/02 15:04:05.000000"

// Service writes the log that CodeBuild would write, line by line. The wording of phases and
// commands is here; other lines of the agent come from the runner.
type Service struct {
	w     *bufio.Writer
	flush bool            // write each event at once, for someone who reads along
	file  bool            // keep every byte, as CodeBuild does; else escape for a screen
	at    int64           // offset in the log, in bytes
	index builds.LogIndex // of the log so far
	times logTimes

	mu     sync.Mutex // of w and err: output in a file is also flushed from a timer
	queued bool       // the timer runs
	err    error
}

// NewService returns a Service that writes each event to w at once, with the agent's lines
// escaped for a terminal.
func NewService(w io.Writer) *Service {
	return &Service{w: bufio.NewWriterSize(w, 64<<10), flush: true}
}

// NewServiceFile returns a Service for the file of the log. Output is written after a moment,
// because a build that prints a lot would otherwise spend its time in small writes.
func NewServiceFile(w io.Writer) *Service {
	return &Service{w: bufio.NewWriterSize(w, 64<<10), file: true}
}

// Continue continues a log that was cut at an offset, with the index of its part before that.
// The build began at start.
func (s *Service) Continue(at int64, start time.Time, index builds.LogIndex) {
	before := func(offsets []int64) []int64 {
		return slices.DeleteFunc(offsets, func(offset int64) bool { return offset >= at })
	}
	index.Agent, index.Errors = before(index.Agent), before(index.Errors)
	index.Commands = slices.DeleteFunc(index.Commands, func(c builds.LogCommand) bool { return c.Start >= at })
	for i := 0; i+1 < len(index.Times); i += 2 {
		if s.times.offset+index.Times[i] > at {
			index.Times = index.Times[:i]
			break
		}
		s.times.offset, s.times.ms = s.times.offset+index.Times[i], s.times.ms+index.Times[i+1]
	}
	s.at, s.index, s.times.start = at, index, start
}

// Err returns the first error of the writer.
func (s *Service) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Offset writes everything so far, and returns its length in bytes.
func (s *Service) Offset() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(s.w.Flush())
	return s.at
}

// flushDelay is the time after which output is in the file.
const flushDelay = 100 * time.Millisecond

// flushSoon flushes the output after a moment, for readers who follow the log.
func (s *Service) flushSoon() {
	if s.queued {
		return
	}
	s.queued = true
	time.AfterFunc(flushDelay, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.queued = false
		s.keep(s.w.Flush())
	})
}

// Notify writes the lines that CodeBuild would write for an event.
func (s *Service) Notify(e runner.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Kind == runner.BuildBegan && e.Plan != nil {
		s.times.start = e.Plan.Identity.Start
	}
	s.index.Times = s.times.add(s.index.Times, s.at, e.Time)
	switch e.Kind {
	case runner.PhaseBegan:
		if hasCommands(e.Phase) {
			s.line(e, "Entering phase %s", e.Phase)
		}
	case runner.CommandBegan:
		s.index.Commands = append(s.index.Commands, builds.LogCommand{Start: s.at, Phase: string(e.Phase)})
		s.line(e, "Running command %s", strings.TrimRight(e.Text, "\n"))
		s.index.Commands[len(s.index.Commands)-1].Output = s.at
	case runner.Printed:
		s.addErrors(e.Errors)
		s.writeBytes(e.Output)
	case runner.CommandEnded:
		s.write("\n") // also if the output ended with one, as in CodeBuild's log
		s.endCommand(e.Exit != 0)
		if e.Exit != 0 && !e.Lost {
			s.line(e, "Command did not exit successfully %s exit status %d", strings.TrimRight(e.Text, "\n"), e.Exit)
		}
	case runner.Said:
		s.line(e, "%s", e.Text)
	case runner.PhaseEnded:
		s.phaseEnded(e)
	}
	// In a file, output waits for the next other event.
	if s.flush || e.Kind != runner.Printed {
		s.keep(s.w.Flush())
	} else {
		s.flushSoon()
	}
}

// addErrors records error lines in the output of the last command.
func (s *Service) addErrors(offsets []int64) {
	if len(s.index.Commands) == 0 {
		return
	}
	output := s.index.Commands[len(s.index.Commands)-1].Output
	for _, offset := range offsets {
		s.index.Errors = append(s.index.Errors, output+offset)
	}
}

// logTimes makes the times of a LogIndex.
type logTimes struct {
	start  time.Time // of the build; zero for no times
	offset int64     // of the last pair
	ms     int64     // of the last pair
}

// add adds a pair if a tenth of a second has passed. A pair of the same offset, at which
// nothing was written, is replaced.
func (t *logTimes) add(pairs []int64, offset int64, now time.Time) []int64 {
	const tenth = 100 // milliseconds
	ms := now.Sub(t.start).Milliseconds()
	switch {
	case t.start.IsZero() || len(pairs) > 0 && ms/tenth <= t.ms/tenth:
		return pairs
	case len(pairs) > 0 && offset == t.offset:
		pairs[len(pairs)-1] += ms - t.ms
	default:
		pairs = append(pairs, offset-t.offset, ms-t.ms)
	}
	t.offset, t.ms = offset, ms
	return pairs
}

// endCommand records the end of the last command's output.
func (s *Service) endCommand(failed bool) {
	if last := len(s.index.Commands) - 1; last >= 0 {
		s.index.Commands[last].End, s.index.Commands[last].Failed = s.at, failed
	}
}

// Index returns the structure of the log. The output of a command that has not ended
// reaches to the end of the log; it counts as failed.
func (s *Service) Index() builds.LogIndex {
	if last := len(s.index.Commands) - 1; last >= 0 && s.index.Commands[last].End == 0 {
		s.endCommand(true)
	}
	return s.index
}

// phaseEnded writes the end of a phase. The agent in the container writes the log, so the
// phases before DOWNLOAD_SOURCE and after UPLOAD_ARTIFACTS are not in it.
func (s *Service) phaseEnded(e runner.Event) {
	if !hasCommands(e.Phase) && e.Phase != runner.DownloadSource && e.Phase != runner.UploadArtifacts {
		return
	}
	s.line(e, "Phase complete: %s State: %s", e.Phase, e.Status)
	s.line(e, "Phase context status code: %s Message: %s", e.Context.StatusCode, e.Context.Message)
}

// line writes a line of the agent, and records where it begins.
func (s *Service) line(e runner.Event, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !s.file {
		text = escapeLog(text)
	}
	s.index.Agent = append(s.index.Agent, s.at)
	s.write("[Container] " + e.Time.UTC().Format(stampLayout) + " " + text + "\n")
}

// escapeLog escapes a line of the log for a screen, except for carriage returns, which
// the service's log has too.
func escapeLog(text string) string {
	parts := strings.Split(text, "\r")
	for i := range parts {
		parts[i] = diag.Escape(parts[i])
	}
	return strings.Join(parts, "\r")
}

// write writes text, and keeps the offset up to date: the index depends on it.
func (s *Service) write(text string) {
	n, err := s.w.WriteString(text)
	s.at += int64(n)
	s.keep(err)
}

// keep keeps the first error.
func (s *Service) keep(err error) {
	if s.err == nil {
		s.err = err
	}
}

// hasCommands reports whether a phase runs commands of the buildspec.
func hasCommands(p runner.PhaseType) bool {
	switch p {
	case runner.Install, runner.PreBuild, runner.Build, runner.PostBuild:
		return true
	}
	return false
}

// writeBytes is write without a copy, for the output of commands.
func (s *Service) writeBytes(p []byte) {
	n, err := s.w.Write(p)
	s.at += int64(n)
	s.keep(err)
}

// Refuse writes the log of a build whose buildspec cannot be run: the agent's lines up to
// DOWNLOAD_SOURCE, where CodeBuild reads the buildspec (observed). The directory of the source is
// among them, unless it is empty.
func (s *Service) Refuse(at time.Time, dir, message string) {
	e := runner.Event{Time: at, Kind: runner.Said, Phase: runner.DownloadSource}
	lines := []string{
		"Running on CodeBuild On-demand", "Waiting for agent ping", "Waiting for DOWNLOAD_SOURCE", "Phase is DOWNLOAD_SOURCE",
	}
	if dir != "" {
		lines = append(lines, "CODEBUILD_SRC_DIR="+dir)
	}
	for _, text := range lines {
		e.Text = text
		s.Notify(e)
	}
	e.Kind, e.Status = runner.PhaseEnded, runner.Failed
	e.Context = runner.Context{StatusCode: runner.YAMLError, Message: message}
	s.Notify(e)
}
