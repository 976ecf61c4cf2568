package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sourceDir returns a source beside a directory of the user's: outer/src and outer/home.
func sourceDir(t testing.TB) Source {
	t.Helper()
	outer := t.TempDir()
	src, home := filepath.Join(outer, "src"), filepath.Join(outer, "home")
	err := errors.Join(os.MkdirAll(filepath.Join(src, "sub"), 0o755), os.Mkdir(home, 0o755),
		os.WriteFile(filepath.Join(src, "file"), nil, 0o644), os.WriteFile(filepath.Join(home, "key"), nil, 0o600),
		os.Symlink("../home", filepath.Join(src, "out")), os.Symlink("sub", filepath.Join(src, "in")),
		os.Symlink("../nowhere", filepath.Join(src, "dangling")), os.Symlink(src, filepath.Join(src, "self")))
	if err != nil {
		t.Fatal(err)
	}
	return Source{Dir: src}
}

func TestSource_Claim(t *testing.T) {
	s := sourceDir(t)
	for _, c := range []struct {
		name, value string
		reaches     bool
	}{
		{"privileged", "true", true}, {"privileged", "yes", true}, {"privileged", "garbage", true},
		{"privileged", "false", false}, {"privileged", "Off", false},
		{"docker", "socket", true}, {"docker", "nested", false}, {"engine", "host", true}, {"engine", "auto", false},
		{"env", "A=1", false}, {"env", "A=", false}, {"env", "A", true}, {"env", "", true},
		{"mask-encoded", "true", false}, {"mask-encoded", "false", true}, {"source-mode", "all", true},
		{"source-mode", "commit=HEAD", false},
		{"output", "x", false}, {"output", "sub/x/y", false}, {"output", ".", true}, {"output", "..", true},
		{"output", "out/x", true}, {"output", "in/x", false},
		{"output", "dangling", true}, {"output", "dangling/x", true}, {"output", "sub/../../home", true},
		{"output", "self", true}, {"output", "file/x", true},
		{"output", ".git/x", true}, {"output", "sub/.Git", true}, {"output", ".buildlocal", false},
		{"output", ".buildlocal/x", true}, {"artifacts", ".buildlocal", true}, {"exported-env", "sub/.BuildLocal/x", true},
		{"secrets", "", false}, {"profile", "", false},
		{"artifacts", "id=../home", true}, {"artifacts", "id=x", false}, {"artifacts", "/tmp/a=x", true},
		{"env-file", "file", false}, {"env-file", "out/key", true}, {"env-file", "/etc/passwd", true},
		{"env-file", ".buildlocal/secrets.yml", true}, {"env-file", "-", true},
		{"cache", "s3://b", true}, {"cache", "c", false}, {"cache", "../home", true},
		{"image", "oci:x:latest", false}, {"image", "oci:../home", true}, {"image", "tar:out/i.tar:x", true},
		{"image", "node:22", false}, {"images", "a=oci:/etc", true},
		{"buildspec", "ci/b.yml", false}, {"buildspec", "/etc/passwd", true}, {"buildspec", "version: 0.2\nphases: {}",
			false}, {"buildspec", "-", true}, {"buildspec", "#:/../../x", true},
		{"secondary-source", "a=sub", false}, {"secondary-source", "a=.", false}, {"secondary-source", "a=out", true},
		{"secondary-source", "a=.git", true},
		{"secrets", "file", true}, {"aws", "true", true}, {"aws", "no", false}, {"profile", "x", true},
		{"assume-role", "x", true}, {"aws-credentials", "true", true},
		{"git-credentials", "1", true}, {"metadata", "true", true}, {"keep", "true", true}, {"cache-size", "1B", true},
		{"dry-run", "true", true}, {"source-root", "../..", true}, {"source-root", "", false},
		{"timeout", "5", false}, {"image-digest", "x", false}, {"a-setting-added-later", "x", true},
	} {
		if claim, reaches := s.Claim(c.name, c.value); reaches != c.reaches || reaches == (claim.Effect == "") {
			t.Errorf("%s: %s reaches the user: %t, %q; want %t", c.name, c.value, reaches, claim.Effect, c.reaches)
		}
	}
}

func TestSource_ClaimIgnoredFiles(t *testing.T) {
	s := sourceDir(t)
	s.Ignored = func(path string) bool { return filepath.Base(path) == "file" }
	_, file := s.Claim("env-file", "file")
	_, other := s.Claim("env-file", "sub/other")
	if !file || other {
		t.Error("a file that git ignores did not come with the source, and others did")
	}
}

func TestSource_ClaimTrackedFile(t *testing.T) {
	s := sourceDir(t)
	for tracked, want := range map[bool]bool{true: false, false: true} {
		s.Tracked = func() bool { return tracked }
		if _, reaches := s.Claim("source-root", "repository"); reaches != want {
			t.Errorf("in a file that is tracked (%t), source-root reaches the user: %t", tracked, reaches)
		}
		if _, reaches := s.Claim("privileged", "true"); !reaches {
			t.Error("a tracked file needs trust for other settings")
		}
	}
}

func TestSource_ClaimsHavePlaces(t *testing.T) {
	f, problems := Parse("c.yml", []byte("timeout: 5\nenv: [A=1, B]\nprivileged: true\n"),
		[]string{"timeout", "env", "privileged"})
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	s := sourceDir(t)
	var got []string
	for _, name := range f.Names() {
		for _, c := range s.Claims(f, name) {
			got = append(got, c.Place()+" "+c.Effect+" "+c.Setting)
		}
	}
	want := "c.yml:2:12 read your variable B env: B|c.yml:3:13 run in privileged mode privileged: true"
	if strings.Join(got, "|") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestSource_ClaimNamesItsTarget(t *testing.T) {
	s := sourceDir(t)
	home, err := filepath.EvalSymlinks(filepath.Join(filepath.Dir(s.Dir), "home"))
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{"out": home, "./././sub/../out/new": home + "/new", "../home": home} {
		if c, _ := s.Claim("artifacts", value); c.Target != want {
			t.Errorf("artifacts: %s leads to %s; want %s", value, c.Target, want)
		}
	}
	// A path that is exchanged for a link is another claim.
	_, before := s.Claim("artifacts", "new")
	if err := os.Symlink("../home", filepath.Join(s.Dir, "new")); err != nil {
		t.Fatal(err)
	}
	if after, reaches := s.Claim("artifacts", "new"); before || !reaches || !strings.HasSuffix(after.Agreed(), home) {
		t.Errorf("reaches before %t, after %t: %q", before, reaches, after.Agreed())
	}
}

func TestSource_ClaimQuotesValues(t *testing.T) {
	c, _ := sourceDir(t).Claim("env", "A      ! nothing else  c.yml:1:1")
	if want := `read your variable "A      ! nothing else  c.yml:1:1"`; c.Effect != want {
		t.Errorf("the effect is %s; want %s", c.Effect, want)
	}
	if c, _ := sourceDir(t).Claim("profile", strings.Repeat("x", 100_000)); len(c.Effect) > 100 {
		t.Errorf("the effect has %d bytes", len(c.Effect))
	}
}

func TestParse_RefusesFloods(t *testing.T) {
	many := strings.Repeat("x: 1\n", 25_000)
	if _, problems := Parse("c.yml", []byte(many), []string{"a"}); len(problems) > maxProblems+1 {
		t.Errorf("%d problems are listed", len(problems))
	}
	list := "a: [" + strings.Repeat("A=1,", 25_000) + "]"
	if _, problems := Parse("c.yml", []byte(list), []string{"a"}); len(problems) != 1 {
		t.Errorf("a setting with 25000 values: %v", problems)
	}
	if _, problems := Parse("c.yml", []byte("a: 1\n---\nb: 2\n"), []string{"a", "b"}); len(problems) != 1 ||
		problems[0].Line != 2 {
		t.Errorf("a second document: %v", problems)
	}
}

func TestCutID(t *testing.T) {
	for value, want := range map[string][2]string{
		"a=b": {"a", "b"}, "dir": {"", "dir"}, "/x/y=z": {"", "/x/y=z"}, "=b": {"", "=b"}, "a=": {"", "a="},
		"a=b=c": {"a", "b=c"}, "a b=c": {"", "a b=c"},
	} {
		if id, dir := CutID(value); id != want[0] || dir != want[1] {
			t.Errorf("CutID(%q) is %q, %q; want %q", value, id, dir, want)
		}
	}
}

// FuzzParse holds that no text makes the reader panic, and that each value of a
// setting that reaches the user is claimed.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"privileged: true", "env: [A, B=1]", "images: {a: b}", "a: &x 1\nb: *x", "- x", "{",
		"? [a]\n: b", "env: !!binary x", "privileged: &a [*a]"} {
		f.Add([]byte(text))
	}
	known := []string{"privileged", "env", "images", "a", "b"}
	s := sourceDir(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		file, problems := Parse("c.yml", text, known)
		_ = problems.Error()
		for _, name := range file.Names() {
			e, _ := file.Get(name)
			reaching := 0
			for _, v := range e.Values {
				if _, reaches := s.Claim(name, v.Text); reaches {
					reaching++
				}
			}
			if claims := s.Claims(file, name); len(claims) != reaching {
				t.Errorf("%s has %d values that reach the user, and %d claims", name, reaching, len(claims))
			}
		}
	})
}

// FuzzBelow holds that whatever Below accepts is below the source once it exists.
func FuzzBelow(f *testing.F) {
	for _, path := range []string{"a", "../x", "out/key", "in/../out", "self/self/x", "dangling/a", "/etc", "sub//./x",
		"file/..", "\x00"} {
		f.Add(path)
	}
	s := sourceDir(f)
	top, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		below, err := s.Below(path)
		if err != nil {
			return
		}
		if !filepath.IsLocal(below) {
			t.Fatalf("%q is %q below the source", path, below)
		}
		full := path
		if !filepath.IsAbs(full) {
			full = filepath.Join(s.Dir, full)
		}
		if real, err := filepath.EvalSymlinks(full); err == nil && real != top && !strings.HasPrefix(real, top+"/") {
			t.Errorf("%q is accepted, and leads to %s", path, real)
		}
	})
}

func TestParse_MappingOfLists(t *testing.T) {
	f, problems := Parse("c.yml", []byte("inputs: {install: [a*.json, b], build: src, pre_build: []}\nenv: {A: [x]}\n"),
		[]string{"inputs", "env"})
	e, _ := f.Get("inputs")
	want := "install=a*.json install=b build=src pre_build="
	if got := strings.Join(e.Texts(), " "); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "a list or a mapping of strings") {
		t.Errorf("a list as a variable: %v", problems)
	}
	if _, problems := Parse("c.yml", []byte("inputs: {install: [{a: b}]}"), []string{"inputs"}); len(problems) != 1 {
		t.Errorf("a mapping as a pattern: %v", problems)
	}
}
