// Package claims finds the ways in which files that a configuration file names reach the user:
// environment files and project documents.
package claims

import (
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/project"
)

// EnvFile returns a claim for each variable that an environment file copies from the
// user's environment: a line with a name alone. Lines with values claim nothing.
func EnvFile(file string, text []byte) []config.Claim {
	var names []string
	// The parser looks each of these names up, so the look-up function gets them. Problems are
	// reported when the build reads the file.
	variables, _ := project.ParseEnvFile(file, text, func(name string) (string, bool) {
		names = append(names, name)
		return "", true
	})
	var all []config.Claim
	for _, name := range names {
		c := config.Claim{Effect: "read your variable " + name, Setting: name, File: file, Rank: config.Variable}
		if i := slices.IndexFunc(variables, func(v project.Variable) bool { return v.Name == name }); i >= 0 {
			c.Line, c.Column = variables[i].Line, 1
		}
		all = append(all, c)
	}
	return all
}

// Project returns the claims of a project document: those of all its projects, because
// a flag may choose any of them.
func Project(from config.Source, file string, text []byte) []config.Claim {
	var all []config.Claim
	for _, name := range append(project.Names(text), "") {
		p, problems := project.Parse(file, text, name)
		if problems.Failed() {
			continue // reading it for the build reports them
		}
		for _, c := range claimsOf(from, file, text, p) {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// claimsOf returns the claims of one project. Fields that are not here cannot reach the
// user; a test has the list of them, so a new field cannot be forgotten.
func claimsOf(from config.Source, file string, text []byte, p project.Project) []config.Claim {
	var all []config.Claim
	claim := func(c config.Claim, key, value string) {
		c.Setting, c.File = key+": "+value, file
		c.Line, c.Column = placeOf(text, key)
		all = append(all, c)
	}
	if p.Environment.Privileged {
		claim(config.Claim{Effect: "run in privileged mode", Rank: config.User}, "privilegedMode", "true")
	}
	if ns := p.Cache.Namespace; ns != "" {
		claim(
			config.Claim{Effect: "share a cache namespace with your other projects", Rank: config.User},
			"cacheNamespace",
			ns,
		)
	}
	if c, reaches := from.Claim("buildspec", p.Source.Buildspec); reaches {
		claim(c, "buildspec", p.Source.Buildspec)
	}
	if c, reaches := from.Claim("image", p.Environment.Image); reaches {
		claim(c, "image", p.Environment.Image)
	}
	return all
}

// placeOf returns the line and the column of the first occurrence of a key in any case, or
// 0. A project.Project has no positions, and documents of CloudFormation have capital letters
// (PrivilegedMode). It may be the key of another project in the file, or a text: the place
// helps to find the setting, and nothing depends on it.
func placeOf(text []byte, key string) (line, column int) {
	for l := range strings.Lines(string(text)) {
		line++
		if i := strings.Index(strings.ToLower(l), strings.ToLower(key)); i >= 0 {
			return line, 1 + len([]rune(l[:i]))
		}
	}
	return 0, 0
}
