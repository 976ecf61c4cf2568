package reports

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// negativeCount is CodeBuild's reason for a test summary whose numbers contradict each other (observed).
// The service's API refuses it, so the reason names no file.
const negativeCount = "InvalidInputException: Test summary: status count cannot be negative"

// Refused reports whether CodeBuild refuses the file, and so fails the build. It does for every
// problem except an empty list of Cucumber features, which encoding/json reads.
func (p Problem) Refused() bool { return p.Reason != "" }

// ServiceMessage returns the reason as CodeBuild prints it, for a file in the absolute directory dir.
func (p Problem) ServiceMessage(dir string) string {
	if p.Reason == negativeCount {
		return p.Reason
	}
	return path.Join(dir, p.File) + ": " + p.Reason
}

// refusal is an error with CodeBuild's words for it. They are "" if CodeBuild reads the file.
type refusal struct {
	error
	reason string
}

func (r *refusal) Unwrap() error { return r.error }

// reason returns CodeBuild's words for an error of a file (observed). They are those of encoding/xml and
// encoding/json.
func (f Format) reason(src Source, err error) string {
	var known *refusal
	var at *sax.Error
	switch {
	case errors.As(err, &known):
		return known.reason
	case !errors.As(err, &at):
		return err.Error()
	case f.json():
		return at.Text
	}
	in, err := src.Open()
	if err != nil {
		return err.Error()
	}
	defer in.Close()
	// A document in an unknown encoding has no text in UTF-8, so it would seem to be empty.
	if err := unmarshalled(in); err != nil && !strings.HasPrefix(at.Text, "the encoding ") {
		return err.Error()
	}
	// Files that only this package refuses, such as one with a second document.
	return fmt.Sprintf("XML syntax error on line %d: %s", at.Line, at.Text)
}

// maxReasoned is the number of bytes of a malformed document that are read again for CodeBuild's words.
// encoding/xml keeps a whole text in memory.
const maxReasoned = 64 << 20

// unmarshalled returns the error of encoding/xml for a document, or nil if it accepts the beginning.
func unmarshalled(in io.Reader) error {
	limited := &io.LimitedReader{R: sax.UTF8(in), N: maxReasoned}
	d := xml.NewDecoder(limited)
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil && limited.N == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			if depth--; depth == 0 {
				return nil // as in Unmarshal
			}
		}
	}
}

// contradicts checks the numbers of a suite of JUnit, from which CodeBuild computes its summary
// (observed). It returns CodeBuild's words and our description of the problem, or "". A suite without the
// attribute tests is accepted; the service's behavior is not known.
func contradicts(x *sax.Reader) (reason, text string) {
	counts := map[string]int64{}
	for _, name := range []string{"tests", "failures", "errors", "skipped"} {
		value := strings.TrimSpace(x.Attr(name))
		if value == "" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return err.Error(), fmt.Sprintf("<%s> has %s=%q, which is not a whole number", x.Name(), name, value)
		}
		counts[name] = n
		if n < 0 {
			return negativeCount, fmt.Sprintf("<%s> has %s=%q, which is negative", x.Name(), name, value)
		}
	}
	tests, given := counts["tests"]
	// Subtracting one after the other cannot overflow, because none of them is negative.
	rest := tests
	for _, name := range []string{"failures", "errors", "skipped"} {
		if rest -= counts[name]; rest < 0 && given {
			return negativeCount, fmt.Sprintf("<%s> has tests=\"%d\", but %d failures, %d errors and %d skipped",
				x.Name(), tests, counts["failures"], counts["errors"], counts["skipped"])
		}
	}
	return "", ""
}

// refuse adds a problem of a file that is read nevertheless, so its results count. Further problems of
// the same file are dropped.
func (r *reading) refuse(p Problem) {
	if len(r.problems) == 0 {
		p.File = r.file
		r.problems = append(r.problems, p)
	}
}

// badDuration describes a duration that CodeBuild refuses, or returns nil. It reads durations as
// nanoseconds in a time.Duration (observed), so fractions and strings are refused. The argument field is
// the path below the element, as encoding/json names it.
func badDuration(raw json.RawMessage, field string) *Problem {
	var n int64
	if len(raw) == 0 {
		return nil
	}
	err := json.Unmarshal(raw, &n)
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		return nil
	}
	return &Problem{
		Text: fmt.Sprintf("the duration %s is not a whole number of nanoseconds, as cucumber-js up to 7.3.2 writes it",
			cut(string(raw), 100)),
		Reason: wrongType(kind.Value, "elements."+field, "time.Duration").Error(),
		find:   string(raw),
	}
}

// wrongType returns the error of encoding/json for a value of a Cucumber report (observed for durations;
// the name of the type is taken from there).
func wrongType(value, field, want string) error {
	if field == "" {
		return fmt.Errorf("json: cannot unmarshal %s into Go value of type %s", value, want)
	}
	return fmt.Errorf("json: cannot unmarshal %s into Go struct field Result.%s of type %s", value, field, want)
}

// locate sets the position of a duration that CodeBuild refuses. Reading the file again is slower, but
// only needed for such files.
func (p *Problem) locate(src Source) {
	in, err := src.Open()
	if err != nil {
		return
	}
	defer in.Close()
	d := newDocument(in)
	d.UseNumber()
	for last := json.Token(nil); ; {
		token, err := d.Token()
		if err != nil {
			return
		}
		if text := fmt.Sprint(token); last == "duration" && text == strings.Trim(p.find, `"`) {
			p.Offset = d.InputOffset()
			p.Line = d.in.line(p.Offset)
			return
		}
		last = token
	}
}
