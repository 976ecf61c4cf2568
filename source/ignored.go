package source

import (
	"context"
	"path/filepath"
	"time"
)

// maxIgnoredTime limits the question whether git ignores a file. The answer is only a warning.
const maxIgnoredTime = 5 * time.Second

// IsIgnored reports whether git ignores a file, so that no clone of the repository has it. A file
// that git tracks is not ignored, whatever the patterns are. It is false if git does not answer.
func IsIgnored(ctx context.Context, file string) bool {
	ctx, cancel := context.WithTimeout(ctx, maxIgnoredTime)
	defer cancel()
	// The exit status is 1 for a file that is not ignored, and 128 outside of a repository.
	_, err := git(ctx, filepath.Dir(file), "check-ignore", "--quiet", "--", filepath.Base(file))
	return err == nil
}
