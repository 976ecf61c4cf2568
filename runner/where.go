package runner

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/buildspec"
)

// Where names places of a build, for breakpoints and for parts that are left out. Exactly one
// of Event, Phase, Line and Pattern is set.
type Where struct {
	Text      string         // as written, without the condition
	Event     WhereEvent     // something that may happen anywhere
	Phase     PhaseType      // all its commands, unless one of the next three is set
	Index     int            // of a command in the phase, or in its finally block, from 1
	Finally   bool           // Index counts commands of finally
	End       bool           // after the last command of the phase
	File      string         // that has Line; "" for the buildspec
	Line      int            // from 1
	Pattern   *regexp.Regexp // matches the text of commands
	Condition string         // a shell command that must succeed; "" for none
}

// WhereEvent is a place that is known only when the build is there.
type WhereEvent string

// The events.
const (
	WhereFailure    WhereEvent = "failure"      // a command has failed for the last time
	WhereEach       WhereEvent = "failure:each" // a command has failed, also if its phase is repeated
	WhereBreakpoint WhereEvent = "breakpoint"   // in codebuild-breakpoint
	WhereTimeout    WhereEvent = "timeout"      // the time limit is reached
	WhereStart      WhereEvent = "start"        // before the first command
	WhereEnd        WhereEvent = "end"          // before the container is removed
)

// whereEvents are all events, and whereExamples forms of the other places, for messages.
var (
	whereEvents   = []WhereEvent{WhereFailure, WhereEach, WhereBreakpoint, WhereTimeout, WhereStart, WhereEnd}
	whereExamples = "a phase (build), a command (build:2, build:finally:1), the end of a phase (build:end), " +
		"a line (:27, ci/buildspec.yml:27) or a pattern (/npm (ci|test)/)"
)

// phasesByName are the phases that a Where can name.
var phasesByName = map[string]PhaseType{
	"install": Install, "pre_build": PreBuild, "build": Build, "post_build": PostBuild,
	"runtimes": DownloadSource, "upload_artifacts": UploadArtifacts,
}

// ParseWhere parses a place with an optional condition: "WHERE if COMMAND". The error names what
// was expected, without the text itself.
func ParseWhere(text string) (Where, error) {
	place, condition, conditional := strings.Cut(text, " if ")
	if strings.HasPrefix(text, "/") { // a pattern may contain " if "
		end := strings.LastIndex(text, "/")
		var rest string
		place, rest = text[:end+1], text[end+1:]
		condition, conditional = strings.CutPrefix(rest, " if ")
		if !conditional && rest != "" {
			return Where{}, fmt.Errorf("found %q after the pattern, expected nothing or: if COMMAND", rest)
		}
	}
	w := Where{Text: strings.TrimSpace(place), Condition: strings.TrimSpace(condition)}
	if conditional && w.Condition == "" {
		return Where{}, fmt.Errorf("the condition is empty, expected: %s if COMMAND", w.Text)
	}
	return w, w.parsePlace()
}

// parsePlace sets the place from Text.
func (w *Where) parsePlace() error {
	name := strings.ReplaceAll(strings.ToLower(w.Text), "-", "_")
	switch {
	case slices.Contains(whereEvents, WhereEvent(name)):
		w.Event = WhereEvent(name)
		return nil
	case strings.HasPrefix(w.Text, "/"):
		return w.parsePattern()
	}
	first, rest, more := strings.Cut(name, ":")
	if phase, known := phasesByName[first]; known {
		w.Phase = phase
		return w.parseCommand(rest, more)
	}
	file, number, more := cutLast(w.Text, ":")
	if line, err := strconv.Atoi(number); more && err == nil && line > 0 {
		w.File, w.Line = file, line
		return nil
	}
	return fmt.Errorf("expected %s, or %s", whereExamples, joinEvents())
}

// parsePattern sets a pattern in slashes.
func (w *Where) parsePattern() error {
	text, closed := strings.CutSuffix(w.Text[1:], "/")
	if !closed || text == "" {
		return fmt.Errorf("expected a pattern between two slashes, such as /npm test/")
	}
	var err error
	if w.Pattern, err = regexp.Compile(text); err != nil {
		why := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
		return fmt.Errorf("expected a regular expression (RE2): %s", why)
	}
	return nil
}

// parseCommand sets the part after the name of a phase: an index, finally with an index, or end.
func (w *Where) parseCommand(rest string, more bool) error {
	if !more {
		return nil
	}
	if w.Phase == DownloadSource || w.Phase == UploadArtifacts {
		return fmt.Errorf("expected nothing after the name: this phase has no commands of the buildspec")
	}
	if rest == "end" {
		w.End = true
		return nil
	}
	rest, w.Finally = strings.CutPrefix(rest, "finally:")
	index, err := strconv.Atoi(rest)
	if err != nil || index < 1 {
		return fmt.Errorf("expected PHASE:N with a number from 1, PHASE:finally:N or PHASE:end")
	}
	w.Index = index
	return nil
}

// cutLast cuts a text at the last separator.
func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+len(separator):], true
}

func joinEvents() string {
	var all []string
	for _, e := range whereEvents {
		all = append(all, string(e))
	}
	return strings.Join(all[:len(all)-1], ", ") + " or " + all[len(all)-1]
}

// Places that are not commands, see Event.At.
const (
	PlaceRuntimes = "runtimes"
	PlaceUpload   = "upload_artifacts"
	PlaceEnd      = "end"
)

// Place is a command of a plan.
type Place struct {
	Phase   PhaseType
	Index   int // from 1
	Finally bool
	At      string // see Event.At
	User    string // who runs it; empty for root
	buildspec.Command
}

// Places returns the commands of a plan, in the order in which they run.
func (p *Plan) Places() []Place {
	var all []Place
	for _, phase := range p.Phases {
		for i, c := range phase.Commands {
			all = append(all, Place{phase.Type, i + 1, false, CommandPlace(phase.Type, i+1, false), phase.user(), c})
		}
		for i, c := range phase.Finally {
			all = append(all, Place{phase.Type, i + 1, true, CommandPlace(phase.Type, i+1, true), phase.user(), c})
		}
	}
	return all
}

// Resolve returns the places (see Event.At) that w names in the plan: none for an event. note
// says which line was chosen instead of one without a command. The error says which places there
// are, without the text of w.
func (p *Plan) Resolve(w Where) (at []string, note string, err error) {
	switch {
	case w.Event != "":
		return nil, "", nil
	case w.Phase == DownloadSource:
		return []string{PlaceRuntimes}, "", nil
	case w.Phase == UploadArtifacts:
		return []string{PlaceUpload}, "", nil
	case w.Phase != "":
		at, err = p.resolvePhase(w)
		return at, "", err
	case w.Pattern != nil:
		for _, place := range p.Places() {
			if w.Pattern.MatchString(place.Text) {
				at = append(at, place.At)
			}
		}
		if at == nil {
			return nil, "", fmt.Errorf("no command matches; %s", p.listPlaces())
		}
		return at, "", nil
	}
	return p.resolveLine(w)
}

// resolvePhase returns the first command of a phase, one of its commands, or its end.
func (p *Plan) resolvePhase(w Where) ([]string, error) {
	phase := p.phase(w.Phase)
	name := strings.ToLower(string(w.Phase))
	commands := phase.Commands
	if w.Finally {
		commands = phase.Finally
	}
	switch {
	case len(phase.Commands)+len(phase.Finally) == 0:
		return nil, fmt.Errorf("%s has no commands; %s", name, p.listPlaces())
	case w.End:
		return []string{name + ":end"}, nil
	case w.Index > len(commands):
		return nil, fmt.Errorf("there is no such command; %s", p.listPlaces())
	case w.Index > 0:
		return []string{CommandPlace(w.Phase, w.Index, w.Finally)}, nil
	}
	return []string{CommandPlace(w.Phase, 1, len(phase.Commands) == 0)}, nil
}

// resolveLine returns the command on a line, or the next one below it.
func (p *Plan) resolveLine(w Where) (at []string, note string, err error) {
	if w.File != "" && path.Clean(w.File) != path.Clean(p.File) && path.Base(p.File) != w.File {
		return nil, "", fmt.Errorf("the buildspec is %s", p.File)
	}
	for _, place := range p.Places() {
		last := place.Line + strings.Count(strings.TrimRight(place.Text, "\n"), "\n")
		if place.Style != buildspec.Literal {
			last = place.Line
		}
		if w.Line > last {
			continue
		}
		if w.Line < place.Line {
			note = fmt.Sprintf("%s moved to line %d", w.Text, place.Line)
		}
		return []string{place.At}, note, nil
	}
	return nil, "", fmt.Errorf("there is no command on this line or below it; %s", p.listPlaces())
}

// maxListedPlaces is how many ranges of places a message names.
const maxListedPlaces = 8

// listPlaces returns the places of commands as a part of a message, such as "commands are
// install:1, build:1 to build:3".
func (p *Plan) listPlaces() string {
	var ranges []string
	add := func(phase Phase, finally bool, n int) {
		switch first := CommandPlace(phase.Type, 1, finally); {
		case n == 1:
			ranges = append(ranges, first)
		case n > 1:
			ranges = append(ranges, first+" to "+CommandPlace(phase.Type, n, finally))
		}
	}
	for _, phase := range p.Phases {
		add(phase, false, len(phase.Commands))
		add(phase, true, len(phase.Finally))
	}
	if len(ranges) == 0 {
		return "this build has no commands"
	}
	return "the commands are " + strings.Join(ranges[:min(maxListedPlaces, len(ranges))], ", ")
}
