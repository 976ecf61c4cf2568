package builds

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// LogIndexName is the file with the LogIndex of a build.
const LogIndexName = "log.index.json"

// maxLogIndex is the largest index that is read, in bytes: more than a hundred thousand
// commands, or times of a day.
const maxLogIndex = 64 << 20

// LogIndex is the structure of a build's log. It is recorded while the log is written,
// because the text cannot be trusted: a build may print lines that look like the agent's.
// Fields are only ever added; those without an older version say so.
type LogIndex struct {
	Version  int          `json:"version"` // 1, or 2 with Errors and Times
	Commands []LogCommand `json:"commands"`
	Agent    []int64      `json:"agentLines"`           // offsets of the lines written by the agent, in bytes
	Errors   []int64      `json:"errorLines,omitempty"` // offsets of lines that look like errors; not in version 1
	// Times are pairs: an offset, and the milliseconds from the beginning of the build at
	// which the log reached it. Both are differences to the pair before. A new pair begins
	// with each tenth of a second. Not in version 1.
	Times []int64 `json:"times,omitempty"`
}

// LogCommand is one command in a log. Offsets are in bytes from the beginning.
type LogCommand struct {
	Start  int64  `json:"start"`            // of the agent's line that names the command
	Output int64  `json:"output,omitempty"` // of the command's output; 0 in version 1
	End    int64  `json:"end"`              // after the command's output
	Phase  string `json:"phase"`
	Failed bool   `json:"failed,omitempty"`
}

// WriteLogIndex writes the index of the build's log.
func (d *Dir) WriteLogIndex(index LogIndex) error {
	index.Version = 2
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	file, err := d.create(LogIndexName)
	if err != nil {
		return err
	}
	_, err = file.Write(append(text, '\n'))
	return errors.Join(err, file.Close())
}

// ReadLogIndex returns the index of the build's log. It is empty for a build that has not
// ended, or was killed.
func (b Build) ReadLogIndex() (LogIndex, error) {
	var index LogIndex
	text, err := b.read(LogIndexName, maxLogIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &index)
	}
	if err != nil {
		return LogIndex{}, fmt.Errorf("read the index of the log: %w", err)
	}
	return index, nil
}
