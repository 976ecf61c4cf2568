package human

import (
	"testing"
	"time"
)

func TestBytes_OneDecimalBelowTen(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0B", 999: "999B", 1200: "1.2kB", 999_900: "1MB", 1_234_567: "1.2MB", 12_345_678: "12MB",
		9_960: "10kB", 1_600_000_000: "1.6GB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s; want %s", n, got, want)
		}
	}
}

func TestParseBytes(t *testing.T) {
	if n, err := ParseBytes("500MB"); n != 500_000_000 || err != nil {
		t.Errorf("500MB: got %d, %v", n, err)
	}
	for _, text := range []string{"", "many", "-1MB"} {
		if n, err := ParseBytes(text); err == nil {
			t.Errorf("%q: got %d; want an error", text, n)
		}
	}
}

func TestMemory_Units(t *testing.T) {
	for n, want := range map[int64]string{1: "1MiB", 115 << 20: "115MiB", 1 << 30: "1GiB", 3 << 29: "1.5GiB"} {
		if got := Memory(n); got != want {
			t.Errorf("Memory(%d) = %s; want %s", n, got, want)
		}
	}
}

func TestDuration_Digits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		27 * time.Millisecond: "27ms", 146 * time.Millisecond: "0.1s", 1456 * time.Millisecond: "1.5s",
		16123 * time.Millisecond: "16.1s", 59960 * time.Millisecond: "1m00s", 123 * time.Second: "2m03s",
		3720 * time.Second: "1h02m", 3599900 * time.Millisecond: "1h00m",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %s; want %s", d, got, want)
		}
	}
}

func TestAgo_LargestUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "just now", 3 * time.Minute: "3 min ago", 2 * time.Hour: "2 h ago", 25 * time.Hour: "1 d ago",
		50 * time.Hour: "2 d ago",
	} {
		if got := Ago(d); got != want {
			t.Errorf("Ago(%v) = %s; want %s", d, got, want)
		}
	}
}

func TestShellWord_Quotes(t *testing.T) {
	for word, want := range map[string]string{"a/b": "a/b", "": "''", "a b": "'a b'", "it's": `'it'\''s'`} {
		if got := ShellWord(word); got != want {
			t.Errorf("ShellWord(%q) = %s; want %s", word, got, want)
		}
	}
}

func TestCount_CommasAndNone(t *testing.T) {
	for n, want := range map[int]string{0: "no files", 1: "1 file", 9999: "9999 files", 12480: "12,480 files",
		1002003: "1,002,003 files"} {
		if got := Count(n, "file"); got != want {
			t.Errorf("Count(%d) = %s; want %s", n, got, want)
		}
	}
}

func TestClause_IsNoSentence(t *testing.T) {
	for text, want := range map[string]string{
		"The image has changed.": "the image has changed", "Docker is not available.": "Docker is not available",
		"TMPDIR is full.": "TMPDIR is full", "CodeBuild's image.": "CodeBuild's image", "end ...": "end ...", "": "",
	} {
		if got := Clause(text); got != want {
			t.Errorf("Clause(%q) = %q; want %q", text, got, want)
		}
	}
}
