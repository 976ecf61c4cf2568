package reports

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// Format is the format of a report file, with the names of file-format.
type Format string

// The formats. Documented in the build specification reference.
const (
	JUnitXML        Format = "JUNITXML"
	NUnitXML        Format = "NUNITXML"
	NUnit3XML       Format = "NUNIT3XML"
	TestNGXML       Format = "TESTNGXML"
	VisualStudioTRX Format = "VISUALSTUDIOTRX"
	CucumberJSON    Format = "CUCUMBERJSON"
	CloverXML       Format = "CLOVERXML"
	CoberturaXML    Format = "COBERTURAXML"
	JaCoCoXML       Format = "JACOCOXML"
	SimpleCov       Format = "SIMPLECOV"
)

// formats describes how each format is read.
var formats = []struct {
	format Format
	about  Type
	roots  string // possible root elements, separated by spaces; empty for JSON
	xml    func(out *reading) handler
	json   func(in io.Reader, out *reading) error
}{
	// A format has either a handler for XML or a function for JSON.
	{JUnitXML, Test, "testsuites testsuite", newJUnit, nil},
	{NUnitXML, Test, "test-results", newNUnit, nil},
	{NUnit3XML, Test, "test-run", newNUnit3, nil},
	{TestNGXML, Test, "testng-results", newTestNG, nil},
	{VisualStudioTRX, Test, "TestRun", newTRX, nil},
	{CucumberJSON, Test, "", nil, readCucumber},
	{CloverXML, CodeCoverage, "coverage", newClover, nil},
	{CoberturaXML, CodeCoverage, "coverage", newCobertura, nil},
	{JaCoCoXML, CodeCoverage, "report", newJaCoCo, nil},
	{SimpleCov, CodeCoverage, "", nil, readSimpleCov},
}

// Formats returns all formats.
func Formats() []Format {
	all := make([]Format, 0, len(formats))
	for _, k := range formats {
		all = append(all, k.format)
	}
	return all
}

// ParseFormat returns the format with a name. Names are case-insensitive, and "" is JUNITXML
// (documented). The error lists all formats.
func ParseFormat(name string) (Format, error) {
	if name == "" {
		return JUnitXML, nil
	}
	for _, k := range formats {
		if strings.EqualFold(name, string(k.format)) {
			return k.format, nil
		}
	}
	return "", fmt.Errorf("unknown report format %q (expected one of: %s)",
		name, strings.Trim(fmt.Sprint(Formats()), "[]"))
}

// Type returns whether reports in the format are about tests or coverage. An unknown format, which
// ParseFormat never returns, counts as one for tests.
func (f Format) Type() Type {
	for _, k := range formats {
		if k.format == f {
			return k.about
		}
	}
	return Test
}

// json reports whether the format is JSON.
func (f Format) json() bool {
	for _, k := range formats {
		if k.format == f {
			return k.json != nil
		}
	}
	return false
}

// handler receives the events of an XML document. An error ends the reading. It gets text in pieces
// of any size, so that no element has to fit into memory. An implementation keeps what it needs up
// to a limit of its own.
type handler interface {
	start(x *sax.Reader) error
	text(piece []byte)
	end(x *sax.Reader) error
}

// read reads one file.
func (f Format) read(in io.Reader, out *reading) error {
	for _, k := range formats {
		switch {
		case k.format != f:
		case k.json != nil:
			return k.json(in, out)
		default:
			return walk(in, strings.Fields(k.roots), k.xml(out))
		}
	}
	return fmt.Errorf("no reader for %s", f)
}

// walk passes the events of an XML document to a handler. The document must have one of the
// root elements.
func walk(in io.Reader, roots []string, h handler) error {
	x := sax.NewReader(in)
	rooted := false
	for {
		kind, err := x.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch kind {
		case sax.Start:
			// A wrong root is reported at once: the rest may be gigabytes of something else.
			if !rooted && !slices.Contains(roots, x.Name()) {
				wrong := fmt.Sprintf("<%s> is not <%s>", x.Name(), strings.Join(roots, "> or <"))
				// For JUNITXML the service names <testsuite>, although it reads <testsuites> too (observed).
				return &refusal{position(x, wrong), fmt.Sprintf("expected element type <%s> but have <%s>",
					roots[len(roots)-1], x.Name())}
			}
			rooted = true
			err = h.start(x)
		case sax.End:
			err = h.end(x)
		case sax.Text:
			h.text(x.Text())
		}
		if err != nil {
			return err
		}
	}
}

// at returns an error at the current position of a document that is well-formed. CodeBuild's words for it
// are not known.
func at(x *sax.Reader, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &refusal{position(x, text), text}
}

// position adds the current position of a document to a description.
func position(x *sax.Reader, text string) error {
	return &sax.Error{Line: x.Line(), Offset: x.Offset(), Text: text}
}
