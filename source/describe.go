package source

import (
	"context"
	"errors"
	"strings"
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
