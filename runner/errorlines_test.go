package runner

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIsError_RealOutput(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"AssertionError: expected 364 to be 365":            "strong",
		"\x1b[41m\x1b[1m FAIL \x1b[22m\x1b[49m test/a.js":   "strong",
		"--- FAIL: TestA (0.00s)":                           "strong",
		"src/main.c:3:5: error: expected ‘;’ before ‘}’":    "strong",
		"error[E0308]: mismatched types":                    "strong",
		"[ERROR] Failed to execute goal on project app":     "strong",
		"npm ERR! code ELIFECYCLE":                          "strong",
		"Traceback (most recent call last):":                "strong",
		"panic: runtime error: index out of range":          "strong",
		"fatal: not a git repository":                       "strong",
		"script.sh: 4: gretting: not found":                 "strong",
		"scripts/announce.sh: 2: DEPLOY_WEBHOOK is not set": "strong",
		"java.lang.NullPointerException":                    "strong",
		"   ✗ estimate > skips the weekend":                 "weak",
		"":                                                  "",
		"0 errors, 0 warnings":                              "",
		"# FAIL:  0":                                        "",
		"Errors: 0":                                         "",
		"downloading error-ex 1.3.2":                        "",
		"compiling terror.c":                                "",
		"FAILOVER is configured":                            "",
		"no error: 0":                                       "",
		"3 × 4 tiles":                                       "",
	} {
		found, strong := isError([]byte(line))
		got := map[bool]string{true: "weak"}[found]
		if strong {
			got = "strong"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// follow writes a text in pieces of a size, and returns the error lines and the tracker.
func follow(text string, size int) ([]int64, *outputLines) {
	var o outputLines
	var found []int64
	for rest := []byte(text); len(rest) > 0; {
		n := min(size, len(rest))
		found = append(found, o.write(rest[:n])...)
		rest = rest[n:]
	}
	return append(found, o.end()...), &o
}

func TestOutputLines_PiecesOfAnySize(t *testing.T) {
	t.Parallel()
	text := "one\nError: two\n\n" + strings.Repeat("x", 3000) + "\nError: three\n" +
		"10%\rError: four\r\nsh: Error: not found\nError is not set\r\n\nTypeError: no line feed"
	var want []int64
	at := int64(0)
	for line := range strings.Lines(text) {
		if strings.Contains(line, "Error") {
			want = append(want, at)
		}
		at += int64(len(line))
	}
	_, whole := follow(text, len(text))
	for size := 1; size < 40; size++ {
		got, o := follow(text, size)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("pieces of %d bytes: %s", size, diff)
		}
		if diff := cmp.Diff(whole.explain([]byte(text)), o.explain([]byte(text))); diff != "" {
			t.Fatalf("pieces of %d bytes: %s", size, diff)
		}
	}
}

func TestOutputLines_ExplainsFailure(t *testing.T) {
	t.Parallel()
	texts := func(lines []OutputLine) (all []string) {
		for _, l := range lines {
			all = append(all, l.Text)
		}
		return all
	}
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "test %d\n", i)
	}
	plain := text.String()
	_, o := follow(plain, 10)
	if got := texts(o.explain([]byte(plain))); len(got) != maxLastLines || got[0] != "test 38" {
		t.Errorf("without an error: %q", got)
	}
	failing := plain + "AssertionError: first\n  at a\n\n------\n  at b\n  at c\n  at d\n  at e\n  at f\n" +
		"AssertionError: second\n" + plain
	_, o = follow(failing, 10)
	want := []string{"AssertionError: first", "  at a", "  at b", "  at c", "  at d", "  at e", "  at f",
		"test 46", "test 47", "test 48", "test 49"}
	lines := o.explain([]byte(failing[len(failing)-400:]))
	if diff := cmp.Diff(want, texts(lines)); diff != "" {
		t.Error(diff)
	}
	for _, l := range lines {
		if !strings.HasPrefix(failing[l.Offset:], l.Text+"\n") {
			t.Errorf("%q is not at offset %d", l.Text, l.Offset)
		}
	}
}

func TestSeries_LongBuildStaysSmall(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	var s series
	used := time.Duration(0)
	for at := time.Second; at < 3*time.Hour; at += 60 * time.Millisecond {
		used += 90 * time.Millisecond // one and a half processors
		s.add(began.Add(at), used, int64(at/time.Second))
	}
	r := s.record(began)
	if r == nil || len(r.CPU) > maxSteps || len(r.CPU) < maxSteps/2 || r.StartMilliseconds != 1000 {
		t.Fatalf("%+v", r)
	}
	for i, cpu := range r.CPU[1:] {
		if cpu < 1.4 || cpu > 1.6 {
			t.Errorf("step %d has %v processors", i+1, cpu)
		}
	}
	if last := r.Memory[len(r.Memory)-1]; last != 3*60*60-1 {
		t.Errorf("the last step has %d bytes", last)
	}
}

func TestSeries_GapsAndShortBuilds(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_700_000_000, 0)
	var s series
	s.add(began, 0, 1)
	if got := s.record(began); got != nil {
		t.Errorf("one sample: %+v", got)
	}
	s.add(began.Add(time.Second), time.Second/2, 3)
	s.add(began.Add(-time.Second), time.Minute, 3) // the clock was set
	want := &Series{StepMilliseconds: 250, CPU: []float64{.5, .5, .5, .5, 0}, Memory: []int64{3, 3, 3, 3, 3}}
	if diff := cmp.Diff(want, s.record(began)); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkOutputLines(b *testing.B) {
	text := bytes.Repeat([]byte("line 123456 of a log that is longer than anybody reads, with more words in it\n"), 400)
	b.SetBytes(int64(len(text)))
	var o outputLines
	for b.Loop() {
		o.write(text)
	}
}
