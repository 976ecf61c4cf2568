package config

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Reach describes how far a setting reaches if it is in a file of the source, which an attacker may
// have written.
type Reach int

// The values of Reach.
const (
	Build    Reach = iota + 1 // changes only the build, or its output on the terminal
	Reads                     // a file or directory to read, which must be below the source
	Writes                    // a file or directory to write, which must be below the source
	Variable                  // NAME=VALUE; a name alone copies the user's variable
	Around                    // a part of the repository around the source, which must have the file
	User                      // reaches the host or the accounts of the user
)

// Setting is a setting, with its effect if it is in a file of the source.
type Setting struct {
	Name  string
	Reach Reach

	// Effect completes "it would ..." for a value that needs the user's consent. VALUE is replaced by
	// the value.
	Effect string

	// Harmless reports whether a value needs no consent. nil means that every value needs it.
	Harmless func(value string) bool

	// Paths returns the paths in a value. nil means that the value is a path.
	Paths func(value string) []string
}

// Settings returns all settings of a configuration file. A setting that is missing here is treated
// as User, so that forgetting one is safe. It is a function, so that no caller can change the
// table.
func Settings() []Setting {
	all := append(reachingSettings(), harmlessSettings()...)
	slices.SortFunc(all, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// reachingSettings are the settings with values that may reach beyond the build.
func reachingSettings() []Setting {
	return []Setting{
		{Name: "artifacts", Reach: Writes, Effect: "write artifacts outside the source", Paths: afterID},
		{Name: "assume-role", Reach: User, Effect: "use your AWS account as VALUE"},
		{Name: "aws", Reach: User, Effect: "look up values in your AWS account", Harmless: no},
		{Name: "aws-credentials", Reach: User, Effect: "give the build your AWS credentials", Harmless: no},
		{Name: "buildspec", Reach: Reads, Effect: "run a buildspec from outside the source", Paths: buildspecPath},
		{Name: "ca-bundle", Reach: Reads, Effect: "read a file outside the source"},
		{Name: "cache", Reach: Writes, Effect: "keep the cache outside the source"},
		{Name: "cache-size", Reach: User, Effect: "remove caches of your other projects beyond VALUE"},
		{Name: "ci", Reach: User, Effect: "let the build's output control the CI job", Harmless: is("auto")},
		{Name: "docker", Reach: User, Effect: "give the build access to this host's Docker engine", Harmless: is("nested")},
		{Name: "dry-run", Reach: User, Effect: "end without running the build", Harmless: no},
		{Name: "engine", Reach: User, Effect: "run the build on the engine VALUE", Harmless: is("auto")},
		{Name: "env", Reach: Variable, Effect: "read your variable VALUE"},
		{Name: "env-file", Reach: Reads, Effect: "read variables from outside the source"},
		{Name: "exported-env", Reach: Writes, Effect: "write a file outside the source"},
		{Name: "git-credentials", Reach: User, Effect: "let git in the build ask for your credentials", Harmless: no},
		{Name: "image", Reach: Reads, Effect: "use an image from outside the source", Paths: ImagePaths},
		{Name: "images", Reach: Reads, Effect: "use an image from outside the source", Paths: standInPaths},
		{Name: "keep", Reach: User, Effect: "keep the build's container on this host", Harmless: no},
		{Name: "keep-failed", Reach: User, Effect: "keep the files of failed builds on this host",
			Harmless: func(v string) bool { return v != "always" }},
		{Name: "mask-encoded", Reach: User, Effect: "show encoded secrets in the log", Harmless: yes},
		{Name: "metadata", Reach: User, Effect: "let the build access this host's cloud metadata", Harmless: no},
		{Name: "mount", Reach: User, Effect: "let the build read and write this host's files: VALUE"},
		{Name: "network", Reach: User, Effect: "connect the build to the Docker network VALUE", Harmless: is("none")},
		{Name: "output", Reach: Writes, Effect: "write the output outside the source"},
		{Name: "privileged", Reach: User, Effect: "run in privileged mode", Harmless: no},
		{Name: "profile", Reach: User, Effect: "use your AWS profile VALUE"},
		{Name: "project", Reach: Reads, Effect: "read a file outside the source"},
		{Name: "publish", Reach: User, Effect: "open a port of this host: VALUE"},
		{Name: "secondary-source", Reach: Reads, Effect: "give the build files from outside the source", Paths: afterID},
		{Name: "secrets", Reach: User, Effect: "read secrets from VALUE"},
		{Name: "snapshot-size", Reach: User, Effect: "keep copies of the files of builds on this host"},
		{Name: "snapshots", Reach: User, Effect: "keep copies of the files of builds on this host",
			Harmless: func(v string) bool { return v != "always" }},
		{Name: "source-mode", Reach: User, Effect: "give the build files that git ignores",
			Harmless: func(v string) bool { return v != "all" }},
		{Name: "source-root", Reach: Around, Effect: "give the build files of the repository around the source"},
	}
}

// Find returns a setting. A name that is not in the table reaches the user.
func Find(name string) Setting {
	all := Settings()
	if i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name }); i >= 0 {
		return all[i]
	}
	return Setting{Name: name, Reach: User, Effect: "set " + name + " to VALUE"}
}

// no reports whether a boolean is false.
func no(value string) bool {
	return slices.Contains([]string{"false", "no", "off", "0", "f"}, strings.ToLower(value))
}

// yes reports whether a boolean is true.
func yes(value string) bool {
	return slices.Contains([]string{"true", "yes", "on", "1", "t"}, strings.ToLower(value))
}

// is returns a function that reports whether a value is want.
func is(want string) func(string) bool { return func(value string) bool { return value == want } }

// CutID splits ID=DIR, where ID consists of letters, digits and _. Without an ID, all of value is
// the directory.
func CutID(value string) (id, dir string) {
	id, dir, split := strings.Cut(value, "=")
	if !split || id == "" || dir == "" || strings.IndexFunc(id, notWord) >= 0 {
		return "", value
	}
	return id, dir
}

// notWord reports whether a character cannot be part of an ID.
func notWord(c rune) bool {
	return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

// afterID returns the directory of ID=DIR.
func afterID(value string) []string {
	_, dir := CutID(value)
	return []string{dir}
}

// IsInline reports whether a buildspec setting is the buildspec itself rather than its path: it has
// several lines, or it is a YAML mapping.
func IsInline(text string) bool {
	if strings.ContainsAny(text, "\n\r") {
		return true
	}
	// A name such as buildspec.yml is a YAML scalar.
	doc, _, err := decode([]byte(text))
	return err == nil && len(doc.Content) > 0 && doc.Content[0].Kind == yaml.MappingNode
}

// buildspecPath returns the path of a buildspec that is a file.
func buildspecPath(value string) []string {
	if IsInline(value) || strings.HasPrefix(value, "arn:") {
		return nil
	}
	return []string{value}
}

// ImagePaths returns the paths from which an image may be read, or nil for an image in a registry.
// The path in oci:PATH[:NAME] can contain colons, so the path may end at any of them.
func ImagePaths(image string) []string {
	for _, kind := range []string{"oci:", "tar:"} {
		rest, local := strings.CutPrefix(image, kind)
		if !local {
			continue
		}
		// Every candidate is checked, because only the reader of the image knows which one exists.
		all := []string{rest}
		for i, c := range rest {
			if c == ':' {
				all = append(all, rest[:i])
			}
		}
		return all
	}
	return nil
}

// standInPaths returns the paths in NAME=IMAGE.
func standInPaths(value string) []string {
	_, image, _ := strings.Cut(value, "=")
	return ImagePaths(image)
}

// harmlessSettings are the settings that affect the build alone, with any value.
func harmlessSettings() []Setting {
	var all []Setting
	for _, name := range []string{
		"add-host", "break", "color", "compute-type", "debug", "env-override", "force", "format", "from", "full-reports",
		"ignore",
		"image-digest", "inputs", "keep-builds", "no-cache", "only", "pause-for", "platform", "progress", "project-name",
		"pull", "quiet", "region", "require-image", "skip", "step", "strict", "timeout", "tolerate-bad-reports",
		"until", "verbose", "zip",
	} {
		all = append(all, Setting{Name: name, Reach: Build})
	}
	return all
}
