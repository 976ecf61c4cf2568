package cache

import (
	"archive/tar"
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPaths_Names(t *testing.T) {
	t.Parallel()
	const src = "/codebuild/output/src1/src"
	p := Paths{Source: src}
	for path, want := range map[string]string{
		src: "src", src + "/a/b": "src/a/b", "/root/.m2": "root/root/.m2", "/": "root",
		src + "2/x": "root/codebuild/output/beside-source/src2/x",
	} {
		got := p.NameOf(path)
		if got != want {
			t.Errorf("%s has the name %s, want %s", path, got, want)
		}
		if back := p.PathOf(got); back != path {
			t.Errorf("%s is at %s, want %s", got, back, path)
		}
	}
	for pattern, want := range map[string]string{
		"a/**/*": "src/a/**/*", "./a": "src/a", "../x/*": "root/codebuild/output/beside-source/x/*",
		src + "/b/": "src/b", "/root/.npm/**/*": "root/root/.npm/**/*",
	} {
		if got := p.Pattern(pattern); got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
}

func TestParseList_Formats(t *testing.T) {
	t.Parallel()
	const gnu = "f 644 0 1000 5 1000000000.0000000050 1000000001.5000000000 1 /a b\nc\x00\x00" +
		"d 1777 0 0 4096 1.5 2 2 /tmp\x00\x00" +
		"l 777 0 0 1 -1.0000000000 2.0000000000 1 /l\x00to here\x00" + "p 644 0 0 0 1.0 2.0 1 /pipe\x00\x00"
	all, err := parsed(parseGNU, gnu)
	if err != nil || len(all) != 3 {
		t.Fatalf("%v, %v", all, err)
	}
	type row struct {
		path, link              string
		kind                    byte
		mode, size, time, state int64
		uid, gid                int
	}
	var got []row
	for _, f := range all {
		got = append(got, row{f.Name, f.Link, f.Kind, f.Mode, f.Size, f.Time, f.status, f.UID, f.GID})
	}
	want := []row{
		{"/a b\nc", "", tar.TypeReg, 0o644, 5, 1e18 + 5, 1000000001500000000, 0, 1000},
		{"/tmp", "", tar.TypeDir, 0o1777, 4096, 1500000000, 2e9, 0, 0},
		{"/l", "to here", tar.TypeSymlink, 0o777, 1, -1e9, 2e9, 0, 0},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Error(diff)
	}
	all, err = parsed(parseStat, "81a4 0 0 5 1000000000 1000000001 1 /a b\n41ed 0 0 4096 1 2 2 /d\n")
	if err != nil || len(all) != 2 || all[0].Name != "/a b" || all[0].Mode != 0o644 ||
		all[0].status != 1000000001e9 || all[1].Kind != tar.TypeDir {
		t.Errorf("%+v, %v", all, err)
	}
	for _, text := range []string{
		"f 644 0 0 5 1.0 2.0 1 /a", "f 644 0 0 5 1.0\x00\x00", "f x 0 0 5 1.0 2.0 1 /a\x00\x00",
		"f 644 0 0 5 - 2.0 1 /a\x00\x00", "f 644 0 0 5 1.-5 2.0 1 /a\x00\x00x",
	} {
		if got, err := parsed(parseGNU, text); err == nil {
			t.Errorf("%q is parsed as %+v", text, got)
		}
	}
	for _, text := range []string{
		"a1ff 0 0 1 1 2 1 /link\n", "81a4 0 0 5 1 2 1\n", "81a4 0 0 5 1 2 1 /a\nb\n", "zzzz 0 0 5 1 2 1 /a\n",
	} {
		if got, err := parsed(parseStat, text); err == nil {
			t.Errorf("%q is parsed as %+v", text, got)
		}
	}
}

func TestParseList_OmitsFilesOfKernelAndProgram(t *testing.T) {
	t.Parallel()
	list := "gnu\n"
	for _, file := range strings.Fields("/state/mark /proc /proc/1 /state /state/x /process /sys /dev/sda") {
		list += "f 644 0 0 0 1.0 10.0 1 " + file + "\x00\x00"
	}
	got, err := parseList(ended(list), everything, "/state/mark")
	if err != nil || len(got) != 1 || got[0].Name != "root/process" {
		t.Errorf("got %+v, %v, want /process", got, err)
	}
}

// everything is the paths of the pattern /**/*.
var everything = Paths{Source: "/src", Patterns: []string{"root/**/*"}}

func TestParseList_LimitsFiles(t *testing.T) {
	t.Parallel()
	record := func(name string, i int) string { return fmt.Sprintf("f 644 0 0 0 1.0 10.0 1 %s%d\x00\x00", name, i) }
	for _, c := range []struct {
		selected, other int
		want            error
	}{{MaxFiles, 0, nil}, {MaxFiles + 1, 0, errTooMany}, {MaxFiles, 1000, nil}} {
		var list strings.Builder
		list.WriteString("gnu\n" + record("/state/mark", 0))
		for i := range c.other { // which do not count
			list.WriteString(record("/src/x", i))
		}
		for i := range c.selected {
			list.WriteString(record("/file", i))
		}
		got, err := parseList(ended(list.String()), everything, "/state/mark0")
		if err != c.want || err == nil && len(got) != c.selected {
			t.Errorf("%+v: got %d files, %v", c, len(got), err)
		}
	}
}

// parsed returns the files of a list with their paths as names.
func parsed(
	parse func(*bufio.Reader, func(string, containerFile) error) error, text string,
) (all []containerFile, err error) {
	err = parse(ended(text), func(file string, f containerFile) error {
		f.Name = file
		all = append(all, f)
		return nil
	})
	return all, err
}

// ended is a list with its last line.
func ended(text string) *bufio.Reader { return bufio.NewReader(strings.NewReader(text + endLine)) }

func FuzzParseList(f *testing.F) {
	f.Add([]byte("f 644 0 1000 5 1000000000.0000000050 1000000001.5000000000 1 /a b\nc\x00\x00"))
	f.Add([]byte("81a4 0 0 5 1000000000 1000000001 1 /a b\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = parsed(parseGNU, string(text))
		_, _ = parsed(parseStat, string(text))
	})
}
