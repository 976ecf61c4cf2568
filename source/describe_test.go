package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMessage_OfCommit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &Source{Dir: dir}
	if _, err := s.Message(t.Context()); err == nil {
		t.Error("a source without a commit has a message")
	}
	for _, args := range [][]string{
		{"init", "-q"},
		{"-c", "user.name=Mära O'X", "-c", "user.email=m@example.com", "commit", "-q", "--allow-empty", "-m",
			"Round\ndown\n\nbecause"},
	} {
		if _, err := git(t.Context(), dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	commit, err := git(t.Context(), dir, "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	s.Git = &Git{Commit: commit[:40]}
	itself := of(commit[:40])
	if changed, err := s.ChangedSince(t.Context(), itself, itself, plainKey); err != nil || len(changed) > 0 {
		t.Errorf("against itself: %q, %v", changed, err)
	}
	for _, other := range []string{"", "HEAD", "--output=x", strings.Repeat("0", 40)} {
		if _, err := s.ChangedSince(t.Context(), of(other), of(commit[:40]), plainKey); err == nil {
			t.Errorf("%q is compared", other)
		}
	}
	for name, text := range map[string]string{"a b": "1", "ü": "2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"add", "-A"},
		{"-c", "user.name=M", "-c", "user.email=m@example.com", "commit", "-q", "-m", "more"},
	} {
		if _, err := git(t.Context(), dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	next, err := git(t.Context(), dir, "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	later := &Source{Dir: dir, Git: &Git{Commit: next[:40]}}
	changed, err := later.ChangedSince(t.Context(), of(commit[:40]), of(next[:40]), plainKey)
	if strings.Join(changed, "|") != "a b|ü" || err != nil {
		t.Errorf("changed: %q, %v", changed, err)
	}
	got, err := s.Message(t.Context())
	const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	if want := (Message{Subject: "Round down", Author: "Mära O'X", Tree: emptyTree}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// of returns the contents of a commit without edits.
func of(commit string) *Contents { return &Contents{Commit: commit} }

// plainKey is a key that hides nothing.
func plainKey(text string) string { return text }
