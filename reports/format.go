package reports

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// Format is how a report file is written, in the words of file-format.
type Format string

// The formats (documented, build-spec-ref).
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

// formats says how each format is read.
var formats = []struct {
	format Format
	about  Type
	roots  string // elements a document can begin with; empty for JSON
	xml    func(out *reading) handler
	json   func(in io.Reader, out *reading) error
}{
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

// Formats lists all formats.
func Formats() []Format {
	all := make([]Format, 0, len(formats))
	for _, k := range formats {
		all = append(all, k.format)
	}
	return all
}

// ParseFormat returns the format of a name, in which case does not count; nothing means
// JUNITXML (documented). The error names all formats.
func ParseFormat(name string) (Format, error) {
	if name == "" {
		return JUnitXML, nil
	}
	for _, k := range formats {
		if strings.EqualFold(name, string(k.format)) {
			return k.format, nil
		}
	}
	return "", fmt.Errorf("unknown report format %q (expected one of: %s)", name, strings.Trim(fmt.Sprint(Formats()), "[]"))
}

// Type is what reports of the format are about.
func (f Format) Type() Type {
	for _, k := range formats {
		if k.format == f {
			return k.about
		}
	}
	return Test
}

// handler is told what a document has. What it returns ends the reading.
type handler interface {
	start(x *sax.Reader) error
	text(piece []byte)
	end(x *sax.Reader) error
}

// read reads one file of a format.
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

// walk hands a document to a handler. Its element has to be one of the roots.
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
			if !rooted && !slices.Contains(roots, x.Name()) {
				return at(x, "<%s> is not <%s>", x.Name(), strings.Join(roots, "> or <"))
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

// at is an error where a document is read.
func at(x *sax.Reader, format string, args ...any) error {
	return &sax.Error{Line: x.Line(), Offset: x.Offset(), Text: fmt.Sprintf(format, args...)}
}
