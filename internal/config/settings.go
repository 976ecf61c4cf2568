package config

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Reach says how far a setting can reach if it is in a file that came with the source,
// which an attacker may have written.
type Reach int

// How far a setting reaches.
const (
	Build    Reach = iota + 1 // it changes the build, or how the build is shown
	Reads                     // it names a file or a directory to read, which must be below the source
	Writes                    // it names one to write, which must be below the source
	Variable                  // NAME=VALUE; a name alone copies the user's variable
	User                      // it reaches the user's machine or accounts
)

// Setting is one setting, and what the source's file may do with it.
type Setting struct {
	Name  string
	Reach Reach

	// Effect completes "it would ..." for a value that needs the user's trust.
	// VALUE is replaced by the value.
	Effect string

	// Harmless reports whether a value needs no trust; nil for none.
	Harmless func(value string) bool

	// Paths returns the paths in a value; nil where the value is the path.
	Paths func(value string) []string
}

// Settings is every setting of a configuration file. One that is missing here is
// treated as reaching the user.
func Settings() []Setting {
	return []Setting{
		{Name: "artifacts", Reach: Writes, Effect: "write artifacts outside the source", Paths: afterID},
		{Name: "assume-role", Reach: User, Effect: "use your AWS account as VALUE"},
		{Name: "aws", Reach: User, Effect: "look up values in your AWS account", Harmless: no},
		{Name: "aws-credentials", Reach: User, Effect: "give the build your AWS credentials", Harmless: no},
		{Name: "buildspec", Reach: Reads, Effect: "run a buildspec from outside the source", Paths: buildspecPath},
		{Name: "ca-bundle", Reach: Reads, Effect: "read a file outside the source"},
		{Name: "cache", Reach: Writes, Effect: "keep the cache outside the source"},
		{Name: "cache-size", Reach: User, Effect: "remove caches of your other projects beyond VALUE"},
		{Name: "compute-type", Reach: Build},
		{Name: "docker", Reach: User, Effect: "give the build this machine's Docker engine", Harmless: is("nested")},
		{Name: "dry-run", Reach: User, Effect: "end without running the build", Harmless: no},
		{Name: "engine", Reach: User, Effect: "run the build on the engine VALUE", Harmless: is("auto")},
		{Name: "env", Reach: Variable, Effect: "read your variable VALUE"},
		{Name: "env-file", Reach: Reads, Effect: "read variables from outside the source"},
		{Name: "env-override", Reach: Build},
		{Name: "exported-env", Reach: Writes, Effect: "write a file outside the source"},
		{Name: "format", Reach: Build},
		{Name: "full-reports", Reach: Build},
		{Name: "git-credentials", Reach: User, Effect: "let git in the build ask for your credentials", Harmless: no},
		{Name: "ignore", Reach: Build},
		{Name: "image", Reach: Reads, Effect: "use an image from outside the source", Paths: ImagePaths},
		{Name: "image-digest", Reach: Build},
		{Name: "images", Reach: Reads, Effect: "use an image from outside the source", Paths: standInPaths},
		{Name: "keep", Reach: User, Effect: "leave the build's container on this machine", Harmless: no},
		{Name: "keep-builds", Reach: Build},
		{Name: "mask-encoded", Reach: User, Effect: "show encoded secrets in the log", Harmless: yes},
		{Name: "metadata", Reach: User, Effect: "let the build reach this machine's cloud metadata", Harmless: no},
		{Name: "no-cache", Reach: Build},
		{Name: "output", Reach: Writes, Effect: "write the output outside the source"},
		{Name: "platform", Reach: Build},
		{Name: "privileged", Reach: User, Effect: "run in privileged mode", Harmless: no},
		{Name: "profile", Reach: User, Effect: "use your AWS profile VALUE"},
		{Name: "project", Reach: Reads, Effect: "read a file outside the source"},
		{Name: "project-name", Reach: Build},
		{Name: "pull", Reach: Build},
		{Name: "quiet", Reach: Build},
		{Name: "region", Reach: Build},
		{Name: "secondary-source", Reach: Reads, Effect: "give the build files from outside the source", Paths: afterID},
		{Name: "secrets", Reach: User, Effect: "read secrets from VALUE"},
		{Name: "source-mode", Reach: User, Effect: "give the build files that git ignores", Harmless: func(v string) bool { return v != "all" }},
		{Name: "strict", Reach: Build},
		{Name: "timeout", Reach: Build},
		{Name: "verbose", Reach: Build},
		{Name: "zip", Reach: Build},
	}
}

// Find returns a setting. One that is not in the table reaches the user.
func Find(name string) Setting {
	all := Settings()
	if i := slices.IndexFunc(all, func(s Setting) bool { return s.Name == name }); i >= 0 {
		return all[i]
	}
	return Setting{Name: name, Reach: User, Effect: "set " + name + " to VALUE"}
}

func no(value string) bool {
	return slices.Contains([]string{"false", "no", "off", "0", "f"}, strings.ToLower(value))
}

func yes(value string) bool {
	return slices.Contains([]string{"true", "yes", "on", "1", "t"}, strings.ToLower(value))
}

func is(want string) func(string) bool { return func(value string) bool { return value == want } }

// CutID splits ID=DIR, where ID has letters, digits and _ only; without an ID all
// of value is the directory.
func CutID(value string) (id, dir string) {
	id, dir, split := strings.Cut(value, "=")
	if !split || id == "" || dir == "" || strings.IndexFunc(id, notWord) >= 0 {
		return "", value
	}
	return id, dir
}

func notWord(c rune) bool {
	return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
}

func afterID(value string) []string {
	_, dir := CutID(value)
	return []string{dir}
}

// IsInline reports whether a buildspec is given itself and not by its path: it has
// several lines, or is a YAML mapping.
func IsInline(text string) bool {
	if strings.ContainsAny(text, "\n\r") {
		return true
	}
	doc, _, err := decode([]byte(text))
	return err == nil && len(doc.Content) > 0 && doc.Content[0].Kind == yaml.MappingNode
}

func buildspecPath(value string) []string {
	if IsInline(value) || strings.HasPrefix(value, "arn:") {
		return nil
	}
	return []string{value}
}

// ImagePaths returns the paths that an image may be read from; none for an image
// of a registry. In oci:PATH[:NAME] the path can have colons, so each of them may
// end it.
func ImagePaths(image string) []string {
	for _, kind := range []string{"oci:", "tar:"} {
		rest, local := strings.CutPrefix(image, kind)
		if !local {
			continue
		}
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

func standInPaths(value string) []string {
	_, image, _ := strings.Cut(value, "=")
	return ImagePaths(image)
}
