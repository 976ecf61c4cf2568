package source

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
)

// Message is what the author of a commit wrote.
type Message struct {
	Subject string // the first paragraph in one line
	Author  string // name
	Tree    string // ID of the files, which commits with the same files share
}

// Message returns the message of the source's commit. An error is for a source without a commit, and for git itself.
func (s *Source) Message(ctx context.Context) (Message, error) {
	if s.Git == nil || s.Git.Commit == "" {
		return Message{}, errors.New("there is no commit")
	}
	out, err := git(ctx, s.Dir, "log", "-1", "--no-mailmap", "--format=%T%n%an%n%s", s.Git.Commit, "--")
	if err != nil {
		return Message{}, err
	}
	tree, rest, _ := strings.Cut(strings.TrimSuffix(out, "\n"), "\n")
	author, subject, _ := strings.Cut(rest, "\n")
	return Message{Subject: subject, Author: author, Tree: tree}, nil
}

// commitID matches the full ID of a commit.
var commitID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{40,64}$`) })
