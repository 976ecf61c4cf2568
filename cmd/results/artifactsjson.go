package results

import (
	"path/filepath"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
)

// jsonArtifacts are the artifacts of a build in the format json.
type jsonArtifacts struct {
	Version   int            `json:"version"`
	Number    int            `json:"buildNumber"`
	Name      string         `json:"name"` // of the build
	Artifacts []jsonArtifact `json:"artifacts"`
}

// jsonArtifact is the primary artifact, which has no identifier, or a secondary one.
type jsonArtifact struct {
	Identifier string     `json:"identifier,omitempty"`
	Directory  string     `json:"directory"`
	Zip        string     `json:"zip,omitempty"`
	Key        string     `json:"key,omitempty"` // object key that CodeBuild would use in its bucket
	Size       int64      `json:"sizeInBytes"`   // of all files
	Files      []jsonFile `json:"files"`
}

type jsonFile struct {
	Path   string `json:"path"`
	Bytes  []byte `json:"pathBase64,omitempty"` // the path, if it is not valid UTF-8
	Size   int64  `json:"sizeInBytes"`
	SHA256 string `json:"sha256,omitempty"` // absent for a link
	Mode   string `json:"mode"`             // permissions, such as 0644
	Link   string `json:"link,omitempty"`   // target of a symbolic link
}

func newJSONFile(e artifacts.Entry) jsonFile {
	return jsonFile{Path: e.Path, Bytes: e.Bytes, Size: e.Size, SHA256: e.SHA256, Mode: e.Mode, Link: e.Link}
}

// newJSONArtifacts returns the artifacts of a build. Paths are absolute.
func newJSONArtifacts(b builds.Build, m artifacts.Manifest) jsonArtifacts {
	all := jsonArtifacts{Version: 1, Number: b.Number, Name: b.Name, Artifacts: []jsonArtifact{}}
	path := func(name string) string {
		if name == "" {
			return ""
		}
		return filepath.Join(b.Path, filepath.FromSlash(name))
	}
	for _, set := range m.Artifacts {
		a := jsonArtifact{Identifier: set.Identifier, Directory: path(set.Dir), Zip: path(set.Zip), Key: set.Key,
			Size: set.Size(), Files: []jsonFile{}}
		for _, e := range set.Entries {
			a.Files = append(a.Files, newJSONFile(e))
		}
		all.Artifacts = append(all.Artifacts, a)
	}
	return all
}

// jsonChanges are the differences of two builds in the format json.
type jsonChanges struct {
	Version int          `json:"version"`
	Changes []jsonChange `json:"changes"`
}

// jsonChange is a file that differs. Before is absent if it was added, After if it was removed.
type jsonChange struct {
	Identifier string    `json:"identifier,omitempty"` // of a secondary artifact
	Path       string    `json:"path"`
	Before     *jsonFile `json:"before,omitempty"`
	After      *jsonFile `json:"after,omitempty"`
}

func newJSONChanges(changes []artifacts.Change) jsonChanges {
	all := jsonChanges{Version: 1, Changes: []jsonChange{}}
	file := func(e *artifacts.Entry) *jsonFile {
		if e == nil {
			return nil
		}
		f := newJSONFile(*e)
		return &f
	}
	for _, c := range changes {
		all.Changes = append(all.Changes, jsonChange{c.Identifier, c.Path, file(c.Before), file(c.After)})
	}
	return all
}
