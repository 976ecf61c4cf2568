package source

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// Message is what the author of a commit wrote.
type Message struct {
	Subject string // the first paragraph in one line
	Author  string // name
}

// Message returns the message of the source's commit. An error is for a source without a commit, and for git itself.
func (s *Source) Message(ctx context.Context) (Message, error) {
	if s.Git == nil || s.Git.Commit == "" {
		return Message{}, errors.New("there is no commit")
	}
	out, err := git(ctx, s.Dir, "log", "-1", "--no-mailmap", "--format=%an%n%s", s.Git.Commit, "--")
	if err != nil {
		return Message{}, err
	}
	author, subject, _ := strings.Cut(strings.TrimSuffix(out, "\n"), "\n")
	return Message{Subject: subject, Author: author}, nil
}

// commitID matches the full ID of a commit.
var commitID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40,64}$`) })

// ChangedSince returns the names of files that differ between another commit and the source's.
// Files that are not committed do not count: to compare them, git would run filters of the
// repository's configuration.
func (s *Source) ChangedSince(ctx context.Context, commit string) ([]string, error) {
	if s.Git == nil || !commitID().MatchString(s.Git.Commit) || !commitID().MatchString(commit) {
		return nil, fmt.Errorf("%q and the source are not commits that can be compared", commit)
	}
	out, err := git(ctx, s.Dir, "diff-tree", "-r", "-z", "--name-only", "--no-renames", commit, s.Git.Commit)
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), nil
}
