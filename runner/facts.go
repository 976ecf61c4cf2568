package runner

import (
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/cache"
)

// Commit is the version of the source, from its git repository.
type Commit struct {
	ID      string `json:"id"` // full
	Branch  string `json:"branch,omitempty"`
	Subject string `json:"subject,omitempty"` // first line of the message
	Author  string `json:"author,omitempty"`  // name
	// Changed is the number of files of the build that differ from the commit.
	Changed int `json:"changedFiles,omitempty"`
}

// Changes are the files that differ between the source of an earlier build and that of this one.
type Changes struct {
	Build int      `json:"sinceBuild"`      // the last one that succeeded, of the same branch if there is one
	Files []string `json:"files"`           // some of them, from the top of the repository
	Count int      `json:"count"`           // of all
	Named []string `json:"named,omitempty"` // those that the output of the failed command names
}

// Contents identify the files of a build's source, so that builds can be compared. Hashes are keyed:
// they do not disclose their input without the key of the user.
type Contents struct {
	Tree string `json:"tree"` // the same for builds of the same files
	// Edits are the files that differ from the commit, by name; "" for one that does not exist.
	Edits map[string]string `json:"edits,omitempty"`
}

// BuildspecText is the buildspec of a build.
type BuildspecText struct {
	File string `json:"file"`           // as the user spells it
	Text string `json:"text,omitempty"` // empty if it is longer than maxBuildspec
}

// maxBuildspec limits the buildspec that is recorded, in bytes.
const maxBuildspec = 64 << 10

// buildspec returns the buildspec for the record; nil for a plan without one.
func (p *Plan) buildspec() *BuildspecText {
	if p.spec == nil {
		return nil
	}
	b := &BuildspecText{File: p.File}
	if text := strings.Join(p.spec.Lines(), "\n"); len(text) <= maxBuildspec {
		b.Text = text
	}
	return b
}

// Machine describes where a build ran. Numbers are 0 if they are not known.
type Machine struct {
	Engine  string  `json:"engine"`                       // docker, sandbox or host
	Version string  `json:"engineVersion,omitempty"`      // of the Docker engine
	Address string  `json:"engineAddress,omitempty"`      // of the Docker engine
	Name    string  `json:"name,omitempty"`               // of this host
	System  string  `json:"system,omitempty"`             // such as linux/amd64
	CPUs    int     `json:"cpus,omitempty"`               // of the engine's machine
	Memory  int64   `json:"memoryInBytes,omitempty"`      // of the engine's machine
	Compute string  `json:"computeType,omitempty"`        // of the build
	VCPU    float64 `json:"vcpuLimit,omitempty"`          // 0 if unlimited
	Limit   int64   `json:"memoryLimitInBytes,omitempty"` // 0 if unlimited
}

// CacheUse describes what a build did with its cache.
type CacheUse struct {
	Paths    []string    `json:"paths"`
	Key      string      `json:"key,omitempty"`
	Restored *CacheEntry `json:"restored,omitempty"` // nil after a miss
	Saved    *CacheEntry `json:"saved,omitempty"`    // nil if it was not saved
	// Result says why nothing was saved; empty if something was.
	Result string `json:"result,omitempty"`
	// Problems are those of entries of the buildspec's cache section.
	Problems []string `json:"problems,omitempty"`
}

// CacheEntry is a cache that was restored or saved.
type CacheEntry struct {
	Key          string `json:"key,omitempty"`
	Files        int    `json:"files"` // 0 if unknown
	Bytes        int64  `json:"bytes"`
	Milliseconds int64  `json:"durationInMilliseconds"`
	How          string `json:"how,omitempty"` // mounted or copied
}

func newCacheEntry(e *cache.Entry, took time.Duration) *CacheEntry {
	return &CacheEntry{Key: e.Key, Files: e.Files, Bytes: e.Size, Milliseconds: took.Milliseconds()}
}

// NextStep is a command that helps after a build.
type NextStep struct {
	Command string `json:"command"`
	Purpose string `json:"purpose"`
}

// Repro compares a build with the one of CodeBuild that it repeats.
type Repro struct {
	Of          string   `json:"of"`          // ID of that build
	Verdict     string   `json:"verdict"`     // reproduced, fails otherwise, or passes here
	There       string   `json:"there"`       // how that build ended
	Here        string   `json:"here"`        // how this one ended
	Differences []string `json:"differences"` // that are known, the likeliest cause first
}
