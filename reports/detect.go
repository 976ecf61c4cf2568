package reports

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/sax"
)

// DetectFormat returns a description of a file from its first bytes: the name of a Format, or of
// a format that CodeBuild does not support. It returns "" if the format is not recognized. It is a
// guess for a hint, so it may be wrong, and it never makes a file valid.
func DetectFormat(in io.Reader) string {
	head, _ := io.ReadAll(io.LimitReader(in, headSize))
	switch text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), " \t\r\n"); {
	case len(text) == 0:
		return ""
	case text[0] == '{' || text[0] == '[':
		return likeJSON(text)
	// Many coverage tools write LCOV by default.
	case bytes.HasPrefix(text, []byte("TN:")), bytes.HasPrefix(text, []byte("SF:")):
		return "LCOV, which CodeBuild does not support"
	case bytes.HasPrefix(text, []byte("mode: ")):
		return "a coverage profile of Go, which CodeBuild does not support"
	case bytes.HasPrefix(text, []byte("TAP version")), bytes.HasPrefix(text, []byte("1..")):
		return "TAP, which CodeBuild does not support"
	}
	return likeXML(head)
}

// headSize is the number of bytes that are examined. The distinguishing elements are usually in the
// first kilobyte; coverage reports may have a long list of sources before them.
const headSize = 64 << 10

// roots describes XML documents by their root element.
var roots = map[string]string{
	"testsuites": string(JUnitXML), "testsuite": string(JUnitXML), "test-results": string(NUnitXML),
	"test-run": string(NUnit3XML), "testng-results": string(TestNGXML), "TestRun": string(VisualStudioTRX),
	// xUnit.net needs its option -junit, or -nunit, for a format that CodeBuild reads.
	"assemblies":      "xUnit.net XML, which CodeBuild does not support",
	"CoverageSession": "OpenCover XML, which CodeBuild does not support", "html": "a page of HTML",
}

// likeXML looks at the root element. Comments and a DOCTYPE may precede it.
func likeXML(head []byte) string {
	x := sax.NewReader(bytes.NewReader(head))
	kind, err := x.Next()
	for ; err == nil && kind != sax.Start; kind, err = x.Next() {
	}
	if err != nil {
		return ""
	}
	switch x.Name() {
	case "coverage":
		return likeCoverage(x)
	case "report":
		return likeJaCoCo(x)
	}
	return roots[x.Name()]
}

// likeJaCoCo examines the contents, because many kinds of documents have the root element report.
func likeJaCoCo(x *sax.Reader) string {
	kind, err := x.Next()
	for ; err == nil && kind != sax.Start; kind, err = x.Next() {
	}
	if err == nil && slices.Contains([]string{"group", "package", "sessioninfo", "counter"}, x.Name()) {
		return string(JaCoCoXML)
	}
	return ""
}

// likeCoverage distinguishes Clover and Cobertura, which share the root element coverage.
func likeCoverage(x *sax.Reader) string {
	if x.Attr("clover") != "" {
		return string(CloverXML)
	}
	if x.Attr("line-rate") != "" || x.Attr("lines-valid") != "" {
		return string(CoberturaXML)
	}
	for kind, err := x.Next(); err == nil; kind, err = x.Next() {
		switch {
		case kind != sax.Start:
		case x.Name() == "project":
			return string(CloverXML)
		case x.Name() == "packages" || x.Name() == "sources":
			return string(CoberturaXML)
		}
	}
	return ""
}

// likeJSON looks for keys that only one format has. The text may be truncated.
func likeJSON(head []byte) string {
	keys := map[string]bool{} // of objects and arrays
	d := json.NewDecoder(bytes.NewReader(head))
	last := ""
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		switch t := token.(type) {
		case json.Delim:
			// A string followed by an object or array is a key with a structured value: the decoder does not
			// distinguish keys from values here.
			if last != "" && depth <= 3 {
				keys[last] = true
			}
			depth += map[json.Delim]int{'{': 1, '[': 1, '}': -1, ']': -1}[t]
			last = ""
		case string:
			last = t
			if depth <= 3 && (t == "keyword" || t == "uri" || t == "numTotalTests") {
				keys[t] = true
			}
		default:
			last = ""
		}
	}
	switch {
	case head[0] == '[' && (keys["elements"] || keys["keyword"] && keys["uri"]):
		return string(CucumberJSON)
	case head[0] == '{' && keys["files"] && keys["metrics"]:
		return "the output of simplecov-json, which CodeBuild does not support"
	case head[0] == '{' && keys["coverage"]:
		return string(SimpleCov)
	case head[0] == '{' && keys["statementMap"]:
		return "JSON of Istanbul, which CodeBuild does not support"
	case head[0] == '{' && (keys["numTotalTests"] || keys["stats"]):
		return "JSON of a test tool, which CodeBuild does not support"
	}
	return ""
}

// ReadFormat reports whether a result of DetectFormat is a format that this package reads.
func ReadFormat(like string) (Format, bool) {
	f, err := ParseFormat(like)
	return f, err == nil && strings.TrimSpace(like) != ""
}
