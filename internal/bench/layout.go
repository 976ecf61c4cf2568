package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// blob is a descriptor in a manifest of an image.
type blob struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// ociLayout makes an OCI layout of an unpacked archive of docker save, in the same directory,
// and returns the files of its layers. Both arms then read these very files: neither has to
// find them in an archive, and they are equally cached.
func ociLayout(dir string) ([]string, error) {
	l := layoutWriter{dir: dir}
	var saved []struct {
		Config string
		Layers []string
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	l.read("manifest.json", &saved)
	if l.err == nil && len(saved) != 1 {
		l.err = fmt.Errorf("%d images in the archive, not one", len(saved))
	}
	if l.err != nil {
		return nil, l.err
	}
	l.read(saved[0].Config, &config)
	if len(config.RootFS.DiffIDs) != len(saved[0].Layers) {
		l.err = errors.Join(l.err, errors.New("the archive does not have all layers"))
		return nil, l.err
	}
	const kind = "application/vnd.oci.image."
	manifest := map[string]any{"schemaVersion": 2, "mediaType": kind + "manifest.v1+json"}
	manifest["config"] = l.copy(saved[0].Config, kind+"config.v1+json")
	var layers []blob
	var files []string
	for i, name := range saved[0].Layers {
		layers = append(layers, l.link(name, config.RootFS.DiffIDs[i], kind+"layer.v1.tar"))
		files = append(files, l.path(config.RootFS.DiffIDs[i]))
	}
	manifest["layers"] = layers
	text, err := json.Marshal(manifest)
	l.err = errors.Join(l.err, err)
	index := map[string]any{"schemaVersion": 2, "manifests": []blob{l.add(text, kind+"manifest.v1+json")}}
	text, err = json.Marshal(index)
	return files, errors.Join(l.err, err, os.WriteFile(filepath.Join(dir, "index.json"), text, 0o644))
}

// layoutWriter writes blobs. After an error its methods do nothing.
type layoutWriter struct {
	dir string
	err error
}

// path returns the file of a blob, and creates its directory.
func (l *layoutWriter) path(digest string) string {
	name := filepath.Join(l.dir, "blobs", strings.ReplaceAll(digest, ":", "/"))
	if l.err == nil {
		l.err = os.MkdirAll(filepath.Dir(name), 0o755)
	}
	return name
}

func (l *layoutWriter) read(name string, into any) {
	text, err := os.ReadFile(filepath.Join(l.dir, name))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	l.err = errors.Join(l.err, err)
}

// copy adds a small file.
func (l *layoutWriter) copy(name, kind string) blob {
	text, err := os.ReadFile(filepath.Join(l.dir, name))
	l.err = errors.Join(l.err, err)
	return l.add(text, kind)
}

func (l *layoutWriter) add(text []byte, kind string) blob {
	b := blob{kind, fmt.Sprintf("sha256:%x", sha256.Sum256(text)), int64(len(text))}
	name := l.path(b.Digest)
	if l.err == nil {
		l.err = os.WriteFile(name, text, 0o644)
	}
	return b
}

// link adds a layer by a hard link. Newer versions of docker save have it in place already.
func (l *layoutWriter) link(name, digest, kind string) blob {
	from, err := filepath.EvalSymlinks(filepath.Join(l.dir, name)) // layers that occur twice are links
	if err == nil {
		err = os.Link(from, l.path(digest))
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	info, statErr := os.Stat(l.path(digest))
	if l.err = errors.Join(l.err, err, statErr); l.err != nil {
		return blob{}
	}
	return blob{kind, digest, info.Size()}
}
