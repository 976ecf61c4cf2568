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
// commands.
const maxLogIndex = 16 << 20

// LogIndex is the structure of a build's log. It is recorded while the log is written,
// because the text cannot be trusted: a build may print lines that look like the agent's.
type LogIndex struct {
	Version  int          `json:"version"` // 1
	Commands []LogCommand `json:"commands"`
	Agent    []int64      `json:"agentLines"` // offsets of the lines written by the agent, in bytes
}

// LogCommand is one command in a log. Offsets are in bytes from the beginning.
type LogCommand struct {
	Start  int64  `json:"start"` // of the agent's line that names the command
	End    int64  `json:"end"`   // after the command's output
	Phase  string `json:"phase"`
	Failed bool   `json:"failed,omitempty"`
}

// WriteLogIndex writes the index of the build's log.
func (d *Dir) WriteLogIndex(index LogIndex) error {
	index.Version = 1
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
