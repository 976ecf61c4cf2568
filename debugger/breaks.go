package debugger

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/runner"
)

// Break is a breakpoint.
type Break struct {
	ID int
	runner.Where
	At   []string // the places that it names in the plan; nil for an event
	Hits Hits
	// Log is printed instead of a stop, unless it is empty. {NAME} and {$NAME} are replaced by values.
	Log string
}

// Hits limits a breakpoint to some runs of its command. The zero value does not.
type Hits struct {
	operator string // ==, >=, >, <=, < or %; "" for all runs
	number   int
}

// hitsFormat matches the text of Hits.
var hitsFormat = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\s*(==|=|>=|>|<=|<|%)?\s*([0-9]{1,9})\s*$`)
})

// ParseHits parses the runs of a command at which a breakpoint stops: 3, >= 2, < 4, or % 2 for each
// second one.
func ParseHits(text string) (Hits, error) {
	if strings.TrimSpace(text) == "" {
		return Hits{}, nil
	}
	parts := hitsFormat().FindStringSubmatch(text)
	if parts == nil {
		return Hits{}, fmt.Errorf("%q is not a hit count; expected a number of attempts such as 3, >= 2 or %% 2", text)
	}
	h := Hits{operator: parts[1]}
	h.number, _ = strconv.Atoi(parts[2])
	if h.operator == "" || h.operator == "=" {
		h.operator = "=="
	}
	if h.number == 0 {
		return Hits{}, fmt.Errorf("%q is not a hit count; attempts are counted from 1", text)
	}
	return h, nil
}

// allow reports whether a run counts, from 1.
func (h Hits) allow(n int) bool {
	switch h.operator {
	case "==":
		return n == h.number
	case ">=":
		return n >= h.number
	case ">":
		return n > h.number
	case "<=":
		return n <= h.number
	case "<":
		return n < h.number
	case "%":
		return n%h.number == 0
	}
	return true
}

// stopsAt reports whether the build stops at a stop point, and because of which breakpoints.
func (d *Debugger) stopsAt(ctx context.Context, s runner.Stop, live *runner.Live) (bool, []int) {
	d.mu.Lock()
	begun := d.begun
	d.begun = d.begun || s.Reason == runner.BeforeCommand
	d.note(s)
	chosen := d.until[s.At] && !s.Failed() || d.step && s.Reason == runner.BeforeCommand ||
		d.step && s.Failed() && s.Retries == 0 || s.Reason == runner.Interrupted || s.Reason == runner.Paused ||
		s.Reason == runner.AtStatement && s.Depth <= d.depth
	var possible []Break
	for _, b := range d.breaks {
		if b.applies(s, begun) && b.Hits.allow(max(1, s.Attempt)) {
			possible = append(possible, b)
		}
	}
	d.mu.Unlock()
	var hits []int
	for _, b := range possible { // whose conditions take a process each
		switch {
		case b.Condition != "" && !holds(ctx, b.Where, s, live):
		case b.Log != "":
			d.log(ctx, b, s, live)
		default:
			hits = append(hits, b.ID)
		}
	}
	chosen = chosen || len(hits) > 0
	if chosen {
		d.mu.Lock()
		d.step, d.until = d.step && d.Step, map[string]bool{}
		d.mu.Unlock()
	}
	return chosen, hits
}

// applies reports whether a breakpoint is at a stop point. begun says that a command was reached
// before.
func (b Break) applies(s runner.Stop, begun bool) bool {
	switch b.Event {
	case runner.WhereFailure:
		return s.Failed() && s.Retries == 0
	case runner.WhereEach:
		return s.Failed()
	case runner.WhereBreakpoint:
		return s.Reason == runner.AtBreakpoint
	case runner.WhereTimeout:
		return s.Reason == runner.AtTimeout
	case runner.WhereStart:
		return s.Reason == runner.BeforeCommand && !begun
	case runner.WhereEnd:
		return s.Reason == runner.BeforeEnd
	}
	return !s.Failed() && !s.Amid() && slices.Contains(b.At, s.At)
}

// holds reports whether the condition of a breakpoint is true. It runs beside the build, which it
// does not change. A condition that cannot be run is false.
func holds(ctx context.Context, w runner.Where, s runner.Stop, live *runner.Live) bool {
	p := runner.LiveProcess{At: s.Breakpoint}
	p.Args = []string{"sh", "-c", w.Condition}
	exit, err := live.Exec(ctx, p)
	return err == nil && exit == 0
}

// logged matches a variable in the text of a log point.
var logged = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{\$?([A-Za-z_][A-Za-z0-9_]*)\}`)
})

// log prints the text of a log point with the values of its variables, for all who watch the build.
func (d *Debugger) log(ctx context.Context, b Break, s runner.Stop, live *runner.Live) {
	values := map[string]string{}
	if logged().MatchString(b.Log) {
		state, err := live.State(ctx, s.Breakpoint)
		if err != nil {
			return // the build is ending
		}
		for _, v := range state.Variables {
			values[v.Name] = v.Value
		}
	}
	text := logged().ReplaceAllStringFunc(b.Log, func(part string) string {
		return values[logged().FindStringSubmatch(part)[1]]
	})
	live.Notify(runner.Event{Kind: runner.Noted, Text: live.Mask(text), At: s.At, Line: s.Line, Topic: LogTopic})
}

// LogTopic is the topic of an event with the text of a log point, see runner.Event.
const LogTopic = "log"

// Break adds a breakpoint. The note may say where it was moved to.
func (d *Debugger) Break(text string) (Break, string, error) {
	w, err := runner.ParseWhere(text)
	if err != nil {
		return Break{}, "", err
	}
	return d.Add(Break{Where: w})
}

// Add adds a breakpoint, whose number and places it sets. The note may say where it was moved to.
func (d *Debugger) Add(b Break) (added Break, note string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.At, note, err = d.plan.Resolve(b.Where); err != nil {
		return Break{}, "", err
	}
	d.lastBreak = max(d.lastBreak, len(d.Where)) + 1
	b.ID = d.lastBreak
	d.breaks = append(d.breaks, b)
	return b, note, nil
}

// Breaks returns the breakpoints.
func (d *Debugger) Breaks() []Break {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.breaks)
}

// Delete removes a breakpoint, and reports whether there was one.
func (d *Debugger) Delete(id int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := len(d.breaks)
	d.breaks = slices.DeleteFunc(d.breaks, func(b Break) bool { return b.ID == id })
	return len(d.breaks) < before
}
