// Package artifacts handles the artifacts of a build: the manifest that lists them, the
// archive, the object key in the bucket, copies for the user, and the differences between
// two builds. It does not select the files; the runner does.
package artifacts

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// ManifestName is the file in a build's directory that lists its artifacts.
const ManifestName = "artifacts.json"

// version is the version of the manifest's format. Fields are only ever added.
const version = 1

// Manifest lists the artifacts of one build. It is the only record of what the directory of a build
// contains: reports and other builds' comparisons read it instead of the files.
type Manifest struct {
	Version   int   `json:"version"`
	Artifacts []Set `json:"artifacts"`
}

// Set is one artifact: the primary one, or one with an identifier.
type Set struct {
	Identifier string  `json:"identifier,omitempty"` // empty for the primary one
	Dir        string  `json:"directory"`            // slash-separated, below the build's own
	Zip        string  `json:"zip,omitempty"`        // the archive, below the build's own; empty without one
	Key        string  `json:"key,omitempty"`        // object key that CodeBuild would use in its bucket
	Entries    []Entry `json:"files"`                // sorted by path
}

// Entry is one file of a Set.
type Entry struct {
	Path   string `json:"path"`                // slash-separated, below the set's directory
	Bytes  []byte `json:"pathBytes,omitempty"` // the path, if it is not valid UTF-8
	Size   int64  `json:"size"`                // bytes
	SHA256 string `json:"sha256,omitempty"`    // hexadecimal; empty for a link
	Mode   string `json:"mode"`                // permissions as in the build, such as 0644
	Link   string `json:"link,omitempty"`      // target of a symbolic link
}

// Name returns the path as it is on disk.
func (e Entry) Name() string {
	if e.Bytes != nil {
		return string(e.Bytes)
	}
	return e.Path
}

// Entries describes collected files. shown masks the secrets in a path or in the target of a link.
func Entries(files []tree.File, shown func(string) string) []Entry {
	all := make([]Entry, 0, len(files))
	for _, f := range files {
		e := Entry{Path: shown(f.Path), Size: f.Size, SHA256: f.SHA256, Mode: fmt.Sprintf("%04o", f.Mode.Perm()),
			Link: shown(f.Link)}
		// JSON has no bytes: invalid UTF-8 would be replaced, and the file could not be found again.
		if !utf8.ValidString(f.Path) {
			e.Bytes = []byte(e.Path)
			e.Path = strings.ToValidUTF8(e.Path, "\uFFFD")
		}
		all = append(all, e)
	}
	return all
}

// Size is the sum of a set's files, in bytes. Links count as 0.
func (s Set) Size() int64 {
	var sum int64
	for _, e := range s.Entries {
		sum += e.Size
	}
	return sum
}

// Write writes a manifest into a build's directory.
func (m Manifest) Write(dir string) error {
	// The caller need not set it.
	m.Version = version
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ManifestName), append(text, '\n'), 0o644)
}

// maxManifest is the largest manifest that is read, in bytes: enough for a few
// million files. A manifest that is larger is damaged, or not a manifest.
const maxManifest = 1 << 30

// Read reads the manifest of a build's directory. A build that left no artifacts, or
// was made before there were manifests, has an empty one. The error describes the
// problem of the file.
func Read(dir string) (Manifest, error) {
	m := Manifest{}
	text, err := regular.Read(filepath.Join(dir, ManifestName), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s is not a manifest of artifacts: %w", filepath.Join(dir, ManifestName), err)
	}
	if m.Version > version {
		return m, fmt.Errorf("%s has version %d; this program supports %d",
			filepath.Join(dir, ManifestName), m.Version, version)
	}
	return m, nil
}

// Place has the values from which CodeBuild composes the key of an artifact.
type Place struct {
	Path    string // of the project: a prefix
	Prefix  string // s3-prefix of the buildspec, which takes precedence
	BuildID string // the build's UUID if namespaceType is BUILD_ID, else empty
	Name    string // of the artifact; / omits it
	Zip     bool
}

// Key returns the object's key, or for a folder the prefix of its objects:
// path/build-id/name, without the parts that are empty (documented, ProjectArtifacts). No object is
// uploaded in a local build; the key is shown so that it can be compared with the service.
func (p Place) Key() string {
	name := strings.Trim(p.Name, "/")
	if p.Zip && name != "" && path.Ext(name) != ".zip" {
		name += ".zip"
	}
	var parts []string
	// Slashes at both ends of a part are common in projects, and would result in empty levels.
	for _, part := range []string{cmp.Or(p.Prefix, p.Path), p.BuildID, name} {
		if part = strings.Trim(part, "/"); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}
