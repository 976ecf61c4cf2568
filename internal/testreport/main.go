// Command testreport reads the output of go test -json from standard input. It prints the
// result of each package and the output of failed tests, and at the end every skipped test
// with its reason. It fails if a test failed or if more tests were skipped than expected, so
// that a missing tool or engine is noticed.
//
//	go test -json ./... | go run ./internal/testreport -skips 3
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// maxLine is the longest line of the input, in bytes. A failed comparison of two pages is
// one line.
const maxLine = 16 << 20

func main() {
	skips := flag.Int("skips", 0, "fail if more than `N` tests are skipped")
	flag.Parse()
	r := &report{out: os.Stdout, output: map[key][]string{}}
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if !r.finish(*skips) {
		os.Exit(1)
	}
}

// event is one line of the input; see go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

// key is a test, or a package if the name of the test is empty.
type key struct{ pkg, test string }

// report collects the events.
type report struct {
	out    io.Writer
	output map[key][]string // of tests that have not ended
	failed []string
	passed int
	skips  []string
}

// read handles all events. Lines that are not events are printed, because compilers and
// linkers write them.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			fmt.Fprintln(r.out, lines.Text())
			continue
		}
		r.handle(e)
	}
	return lines.Err()
}

// handle collects an event. Events of several packages are mixed, because go test runs them
// in parallel, so the output is kept by test until its result is known.
func (r *report) handle(e event) {
	k := key{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "build-fail":
		r.failed = append(r.failed, e.ImportPath+": build failed")
	case "output":
		r.output[k] = append(r.output[k], e.Output)
	case "pass":
		if e.Test != "" {
			r.passed++
		} else {
			fmt.Fprintf(r.out, "ok    %6.1fs  %s\n", e.Elapsed, e.Package)
		}
		delete(r.output, k)
	case "skip": // without a test it is a package that has no tests
		if e.Test != "" {
			r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(r.output[k])))
		}
		delete(r.output, k)
	case "fail":
		r.failed = append(r.failed, strings.TrimSpace(e.Package+" "+e.Test))
		fmt.Fprintf(r.out, "FAIL  %6.1fs  %s %s\n%s", e.Elapsed, e.Package, e.Test, strings.Join(r.output[k], ""))
		delete(r.output, k)
	}
}

// reason returns the message of a skipped test: the last line that go test did not write
// itself.
func reason(output []string) string {
	for _, line := range slices.Backward(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			// t.Skip writes "file.go:12: message".
			_, message, found := strings.Cut(line, ".go:")
			if _, after, cut := strings.Cut(message, ": "); found && cut {
				return after
			}
			return line
		}
	}
	return "no reason given"
}

// finish prints the totals, and reports whether the tests succeeded. Tests without an end
// are those of a process that was killed.
func (r *report) finish(allowed int) bool {
	for k := range r.output {
		if k.test != "" {
			r.failed = append(r.failed, k.pkg+" "+k.test+": did not end")
		}
	}
	slices.Sort(r.skips)
	for _, line := range r.skips {
		fmt.Fprintln(r.out, "skip ", line)
	}
	slices.Sort(r.failed)
	for _, line := range r.failed {
		fmt.Fprintln(r.out, "FAIL ", line)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped (%d expected)\n", r.passed, len(r.failed), len(r.skips), allowed)
	if len(r.skips) > allowed {
		fmt.Fprintln(r.out, "more tests were skipped than expected: install the missing tools, or change the number in the "+
			"Makefile")
	}
	// Without a passed test the input was probably not the output of go test.
	return len(r.failed) == 0 && len(r.skips) <= allowed && r.passed > 0
}
