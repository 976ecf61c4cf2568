package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// watchedHost returns a host without a configuration directory.
func watchedHost(t *testing.T) *Host {
	t.Helper()
	return &Host{LookupEnv: func(string) (string, bool) { return "", false }, TempDir: t.TempDir()}
}

func TestWatched_Files(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	src, other := filepath.Join(dir, "src"), filepath.Join(dir, "other")
	for _, name := range []string{
		"src/a", "src/dist/x", "src/.buildlocal/builds/y", "src/exported.env", "src/ci/b.yml", "other/c", "env", "config.yml",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := New(src)
	r.Source.Secondary, r.Source.Buildspec = []string{"o=" + other}, "ci/b.yml"
	r.Variables.Files, r.Variables.Exported = []string{filepath.Join(dir, "env"), "-"}, filepath.Join(src, "exported.env")
	r.Output.Artifacts = []string{"id=" + filepath.Join(src, "dist"), filepath.Join(dir, "elsewhere")}
	w, err := watchedHost(t).Watched(r, filepath.Join(dir, "config.yml"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range l.Files {
		below, _ := filepath.Rel(dir, file)
		got = append(got, below)
	}
	slices.Sort(got)
	want := "config.yml env other/c src/.buildlocal/secrets.yml src/a src/ci/b.yml"
	if text := strings.Join(slices.Compact(got), " "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if name := w.Name(filepath.Join(src, "ci/b.yml")); name != "ci/b.yml" {
		t.Errorf("the name is %s", name)
	}
	if w.Update(r) {
		t.Error("the same request has other files")
	}
	changed := *r
	changed.Variables.Files = nil
	if !w.Update(&changed) {
		t.Error("another request has the same files")
	}
}

func TestWatched_Refused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for want, change := range map[string]func(r *Request){
		"cannot be watched":              func(r *Request) { r.Source.Mode = "commit=HEAD" },
		"standard input":                 func(r *Request) { r.Source.Buildspec = "-" },
		"write into the source itself":   func(r *Request) { r.Output.Artifacts = []string{"id=" + dir} },
		"would cause the next one":       func(r *Request) { r.Output.Artifacts = []string{filepath.Dir(dir)} },
		"Choose a directory below or be": func(r *Request) { r.Cache.Place = dir },
	} {
		r := New(dir)
		change(r)
		if _, err := watchedHost(t).Watched(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q", err, want)
		}
	}
}
