package source

import "fmt"

// Version describes the version of a source in a few words, such as "main 1a2b3c4 + 2 files"; ""
// if it has none.
func (s *Source) Version() string {
	if s.Git == nil || s.Git.Commit == "" {
		return ""
	}
	const short = 7
	text := s.Git.Commit[:min(short, len(s.Git.Commit))]
	if s.Git.Branch != "" {
		text = s.Git.Branch + " " + text
	}
	switch n := s.Uncommitted(); n {
	case 0:
		return text
	case 1:
		return text + " + 1 file"
	default:
		return fmt.Sprintf("%s + %d files", text, n)
	}
}

// Uncommitted returns the number of files that differ from the commit.
func (s *Source) Uncommitted() int { return s.Changed + s.Deleted + s.Untracked }
