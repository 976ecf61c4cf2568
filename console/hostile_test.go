package console_test

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// hostile is a text that rings the bell, clears the screen, sets the title in two ways,
// reverses the direction of writing, and is not UTF-8.
const hostile = "x\a\x1b[2J\x1b]0;T\a\u009b31m\u202e\u2066\x7f\r\x00\xffy"

// fill sets every string in a value to hostile, and adds an element to every list and a
// value to every pointer.
func fill(v reflect.Value, depth int) {
	const deepest = 7
	if depth > deepest {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(hostile)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() && v.Type().Field(i).IsExported() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		if v.CanSet() {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), depth+1)
		}
	case reflect.Slice:
		if v.CanSet() && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), depth+1)
			fill(v.Index(1), depth+1)
		}
	case reflect.Map:
		if v.CanSet() {
			v.Set(reflect.MakeMap(v.Type()))
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, depth+1)
			fill(value, depth+1)
			v.SetMapIndex(key, value)
		}
	}
}

// events returns events of each kind with hostile texts in all fields, failed and succeeded,
// with and without the fields that change how they are shown.
func events() []runner.Event {
	var all []runner.Event
	for _, kind := range []runner.Kind{
		runner.BuildBegan, runner.PhaseBegan, runner.Pulled, runner.CommandBegan, runner.CommandEnded,
		runner.Said, runner.Noted, runner.Reported, runner.PhaseEnded, runner.BuildEnded,
	} {
		var e runner.Event
		fill(reflect.ValueOf(&e).Elem(), 0)
		e.Kind, e.Time, e.Output = kind, at, nil
		e.Pull.Total, e.Pull.Current = 10, 5
		all = append(all, e)
		e.Exit, e.Finally, e.Attempt, e.Line = 3, true, 2, 7
		if e.Record != nil {
			e.Record.End = at.Add(time.Hour)
		}
		for _, r := range e.Reports.Reports {
			for i := range r.Cases {
				r.Cases[i].Status, r.Cases[i].Change = reports.CaseFailed, reports.Flaky
			}
		}
		all = append(all, e)
	}
	return all
}

// ours matches sequences that buildlocal prints itself: colors, links and redrawn lines.
var ours = regexp.MustCompile(`\x1b\[[0-9;]*m|\x1b\]8;;(file://[!-~]*)?\x1b\\`)

func control(text string, allowed *regexp.Regexp) string {
	if allowed != nil {
		text = allowed.ReplaceAllString(text, "")
	}
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return string(r)
		}
	}
	if !strings.Contains(strings.ToValidUTF8(text, "\x00"), "\x00") {
		return ""
	}
	return "a byte that is not UTF-8"
}

func TestViewers_EscapeControlCharacters(t *testing.T) {
	for _, o := range []console.Options{
		{}, {Verbose: true}, {Quiet: true}, {Width: columns(160), ASCII: true},
		{Color: true, Width: columns(80), Links: true, Verbose: true, Dir: "a", DirPath: "/a b\x1b[2J\x07"},
	} {
		o.Dir, o.Source, o.SourceDir = hostile, hostile, "/"+hostile
		var text, service, json bytes.Buffer
		viewers := []interface{ Notify(runner.Event) }{console.NewText(&text, o), console.NewService(&service),
			console.NewJSON(&json)}
		for _, e := range events() {
			for _, v := range viewers {
				v.Notify(e)
			}
		}
		allowed := map[bool]*regexp.Regexp{true: ours}[o.Color]
		for name, printed := range map[string]string{"text": text.String(), "service": service.String(),
			"json": json.String()} {
			if !strings.Contains(printed, "x") {
				t.Errorf("%s with %+v prints no hostile value at all", name, o)
			}
			if name == "service" {
				printed = strings.ReplaceAll(printed, "\r", "") // which the service's log has too
			}
			if found := control(printed, allowed); found != "" {
				t.Errorf("%s with %+v prints %q:\n%q", name, o, found, printed)
			}
		}
	}
}

func TestWriteProblems_EscapesControlCharacters(t *testing.T) {
	var r console.Report
	fill(reflect.ValueOf(&r).Elem(), 0)
	for i := range r.Files {
		for j := range r.Files[i].Problems {
			p := &r.Files[i].Problems[j]
			p.Line, p.Column, p.Severity = 3, 2, []diag.Severity{diag.Error, diag.Warning}[j%2]
		}
	}
	for _, format := range console.ProblemFormats {
		var b bytes.Buffer
		if err := console.WriteProblems(&b, format, r); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if found := control(b.String(), nil); found != "" {
			t.Errorf("%s prints %q:\n%q", format, found, b.String())
		}
	}
}
