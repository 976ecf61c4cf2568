package project

import (
	"math"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// maxSecondary is the maximum number of secondary sources, versions and artifacts. Documented
// in the API reference of CreateProject.
const maxSecondary = 12

// source reads a ProjectSource of the API.
func (r *reader) source(n node) Source {
	var s Source
	for _, f := range r.entries(n) {
		switch f.name {
		case "type":
			s.Type = r.word(f.value, sourceTypes, diag.Error)
		case "location":
			s.Location = r.optionalText(f.value)
		case "sourceIdentifier":
			s.Identifier = r.identifier(f.value)
		case "buildspec":
			s.Buildspec = r.text(f.value)
		case "gitCloneDepth":
			s.GitCloneDepth = r.number(f.value, bounds{most: math.MaxInt32})
		case "gitSubmodulesConfig":
			s.FetchSubmodules = r.submodules(f.value)
		case "auth", "reportBuildStatus", "buildStatusConfig", "insecureSsl":
			// These concern CodeBuild and the source provider only.
		default:
			r.unknown(f, sourceKeys)
		}
	}
	return s
}

// submodules reads gitSubmodulesConfig.
func (r *reader) submodules(n node) (fetch bool) {
	for _, f := range r.entries(n) {
		switch f.name {
		case "fetchSubmodules":
			fetch = r.flag(f.value)
		default:
			r.unknown(f, submodulesKeys)
		}
	}
	return fetch
}

// secondarySources reads a list of ProjectSource.
func (r *reader) secondarySources(n node) []Source {
	var all []Source
	known := map[string]bool{}
	for _, item := range r.secondary(n) {
		s := r.source(item)
		r.unique(item, "sourceIdentifier", s.Identifier, known)
		all = append(all, s)
	}
	return all
}

// secondary returns the items of a list with at most maxSecondary of them.
func (r *reader) secondary(n node) []node {
	items := r.items(n)
	if len(items) > maxSecondary {
		r.problem(diag.Error, items[maxSecondary], "%s has %d items; the maximum is %d", n.path, len(items), maxSecondary)
		// The first twelve are kept, so that further problems are found.
		return items[:maxSecondary]
	}
	return items
}

// unique reports an item without an identifier, or with that of an earlier item.
func (r *reader) unique(item node, key, identifier string, known map[string]bool) {
	id := item.child(key)
	switch {
	case item.Kind != yaml.MappingNode && !item.null(): // already reported
	case id.null() || id.Kind == yaml.ScalarNode && id.Value == "":
		r.problem(diag.Error, item, "%s has no %s", item.path, key).Hint = "add a unique one"
	case identifier != "" && known[identifier]:
		r.problem(diag.Error, id, "duplicate %s %s", key, shown(identifier)).Hint = "use another one"
	}
	// Missing identifiers are recorded too, as "", which no identifier equals.
	known[identifier] = true
}

// identifier reads the identifier of a source or of artifacts. Documented in the API
// reference: letters, digits and underscores, fewer than 128.
func (r *reader) identifier(n node) string {
	s := r.text(n)
	if s == "" || len(s) < 128 && isWord(s) {
		return s
	}
	r.problem(diag.Error, n, "%s: invalid identifier %s", n.path, shown(s)).
		Hint = `use fewer than 128 letters, digits and "_"`
	return ""
}

// sourceVersions reads secondarySourceVersions as a map from identifier to version.
func (r *reader) sourceVersions(n node) map[string]string {
	versions := map[string]string{}
	for _, item := range r.secondary(n) {
		var identifier, version string
		for _, f := range r.entries(item) {
			switch f.name {
			case "sourceIdentifier":
				identifier = r.identifier(f.value)
			case "sourceVersion":
				version = r.text(f.value)
			default:
				r.unknown(f, versionKeys)
			}
		}
		// An invalid identifier has been reported already.
		if identifier != "" {
			versions[identifier] = version
		}
	}
	return versions
}

// checkVersions warns about versions for sources that the project does not have.
func (r *reader) checkVersions(n node, sources []Source) {
	var known []string
	for _, s := range sources {
		known = append(known, s.Identifier)
	}
	for _, item := range n.children() {
		identifier := item.child("sourceIdentifier")
		if s := identifier.Value; s != "" && !slices.Contains(known, s) {
			r.problem(diag.Warning, identifier, "unknown secondary source %s", shown(s)).
				Hint = diag.Question(short(s), known)
		}
	}
}

// cache reads a ProjectCache of the API.
func (r *reader) cache(n node) Cache {
	var c Cache
	for _, f := range r.entries(n) {
		switch f.name {
		case "type":
			c.Type = r.word(f.value, cacheTypes, diag.Error)
		case "location":
			c.Location = r.optionalText(f.value)
		case "modes":
			for _, item := range r.items(f.value) {
				c.Modes = append(c.Modes, r.word(item, cacheModes, diag.Error))
			}
		case "cacheNamespace":
			c.Namespace = r.optionalText(f.value)
		default:
			r.unknown(f, cacheKeys)
		}
	}
	return c
}

// fileSystems reads fileSystemLocations.
func (r *reader) fileSystems(n node) []FileSystem {
	var all []FileSystem
	for _, item := range r.items(n) {
		all = append(all, r.fileSystem(item))
	}
	return all
}

// fileSystem reads a ProjectFileSystemLocation of the API.
func (r *reader) fileSystem(n node) FileSystem {
	var fs FileSystem
	for _, f := range r.entries(n) {
		switch f.name {
		case "type":
			fs.Type = r.word(f.value, fileSystemTypes, diag.Error)
		case "location":
			fs.Location = r.optionalText(f.value)
		case "mountPoint":
			fs.MountPoint = r.text(f.value)
		case "identifier":
			fs.Identifier = r.text(f.value)
		case "mountOptions":
			fs.MountOptions = r.text(f.value)
		default:
			r.unknown(f, fileSystemKeys)
		}
	}
	return fs
}
