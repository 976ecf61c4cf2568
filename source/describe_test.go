package source

import (
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
	got, err := s.Message(t.Context())
	if want := (Message{Subject: "Round down", Author: "Mära O'X"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}
