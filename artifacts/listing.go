package artifacts

import "path/filepath"

// Listing are the artifacts of a build in the format json.
type Listing struct {
	Version   int         `json:"version"`
	Number    int         `json:"buildNumber"`
	Name      string      `json:"name"` // of the build
	Artifacts []ListedSet `json:"artifacts"`
}

// ListedSet is the primary artifact, which has no identifier, or a secondary one.
type ListedSet struct {
	Identifier string       `json:"identifier,omitempty"`
	Directory  string       `json:"directory"`
	Zip        string       `json:"zip,omitempty"`
	Key        string       `json:"key,omitempty"` // object key that CodeBuild would use in its bucket
	Size       int64        `json:"sizeInBytes"`   // of all files
	Files      []ListedFile `json:"files"`
}

// ListedFile is a file of an artifact.
type ListedFile struct {
	Path   string `json:"path"`
	Bytes  []byte `json:"pathBase64,omitempty"` // the path, if it is not valid UTF-8
	Size   int64  `json:"sizeInBytes"`
	SHA256 string `json:"sha256,omitempty"` // absent for a link
	Mode   string `json:"mode"`             // permissions, such as 0644
	Link   string `json:"link,omitempty"`   // target of a symbolic link
}

// NewListing returns the artifacts of a build whose results are in a directory.
func NewListing(number int, name, dir string, m Manifest) Listing {
	all := Listing{Version: 1, Number: number, Name: name, Artifacts: []ListedSet{}}
	path := func(name string) string {
		if name == "" {
			return ""
		}
		return filepath.Join(dir, filepath.FromSlash(name))
	}
	for _, set := range m.Artifacts {
		a := ListedSet{Identifier: set.Identifier, Directory: path(set.Dir), Zip: path(set.Zip), Key: set.Key,
			Size: set.Size(), Files: []ListedFile{}}
		for _, e := range set.Entries {
			a.Files = append(a.Files, ListedFile(e))
		}
		all.Artifacts = append(all.Artifacts, a)
	}
	return all
}

// ChangeList are the differences of two builds in the format json.
type ChangeList struct {
	Version int            `json:"version"`
	Changes []ListedChange `json:"changes"`
}

// ListedChange is a file that differs. Before is absent if it was added, After if it was removed.
type ListedChange struct {
	Identifier string      `json:"identifier,omitempty"` // of a secondary artifact
	Path       string      `json:"path"`
	Before     *ListedFile `json:"before,omitempty"`
	After      *ListedFile `json:"after,omitempty"`
}

// NewChangeList returns the differences of two builds.
func NewChangeList(changes []Change) ChangeList {
	all := ChangeList{Version: 1, Changes: []ListedChange{}}
	file := func(e *Entry) *ListedFile {
		if e == nil {
			return nil
		}
		f := ListedFile(*e)
		return &f
	}
	for _, c := range changes {
		all.Changes = append(all.Changes, ListedChange{c.Identifier, c.Path, file(c.Before), file(c.After)})
	}
	return all
}
