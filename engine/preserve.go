package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrTooLarge is wrapped by the error of Preserve for files that exceed the limit.
var ErrTooLarge = errors.New("the files are too large")

// Preserver is a Container whose files can outlive its processes.
type Preserver interface {
	// Preserve ends all processes, and keeps the files that they have changed for a Start with
	// Spec.Resume, in this process or another one: the files of the container and of its trees,
	// but not those in Scratch. Close then does nothing. The directory Spec.Mounts.Temp has to be
	// kept with them, and contains no value of Spec.Env.
	//
	// The error wraps ErrTooLarge if the files have more than limit bytes, and ErrUnsupported if
	// they cannot be kept. Nothing has changed then, and the container goes on.
	Preserve(ctx context.Context, limit int64) error
}

// preservedName is the file in Spec.Mounts.Temp with the driver's data about preserved files.
const preservedName = "preserved.json"

// WritePreserved stores the driver's data about preserved files.
func WritePreserved(temp string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	const mine = 0o600
	return os.WriteFile(filepath.Join(temp, preservedName), text, mine)
}

// ReadPreserved reads what WritePreserved has stored.
func ReadPreserved(temp string, data any) error {
	text, err := os.ReadFile(filepath.Join(temp, preservedName))
	if err == nil {
		err = json.Unmarshal(text, data)
	}
	if err != nil {
		return fmt.Errorf("the files of the container were not kept: %w", err)
	}
	return nil
}

// DirSize returns the size of the files below directories, in bytes. It stops when the sum exceeds
// limit. Files that cannot be looked at do not count.
func DirSize(limit int64, dirs ...string) int64 { return sumSizes(limit, fs.FileInfo.Size, dirs) }

// DiskSize is DirSize without the holes of files, which need no space.
func DiskSize(limit int64, dirs ...string) int64 { return sumSizes(limit, allocated, dirs) }

func sumSizes(limit int64, size func(fs.FileInfo) int64, dirs []string) int64 {
	var sum int64
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
				sum += size(info)
			}
			if sum > limit {
				return fs.SkipAll
			}
			return nil
		})
	}
	return sum
}

// CheckSize returns an error that wraps ErrTooLarge for a size that exceeds the limit.
func CheckSize(size, limit int64) error {
	if size <= limit {
		return nil
	}
	return fmt.Errorf("%w: more than %d GB", ErrTooLarge, limit>>30)
}
