// Package buildspec reads buildspec.yml: what its author wrote, with the place
// of everything and with every problem at once.
//
// The syntax is the one of the service's page "Build specification reference
// for CodeBuild"; where the page is silent, observed builds decide.
package buildspec

import (
	"strings"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Buildspec is what a buildspec says. Values are the text that stands in the
// file: 3.10 stays 3.10, and yes stays yes.
type Buildspec struct {
	File    string // as the user named it
	Version string // 0.1 or 0.2
	RunAs   string // the user that runs all phases; empty for root
	Env     Env
	Phases  []Phase // in the order of the file, one for each that is written
	Reports []ReportGroup
	// Artifacts is nil when the file has no such section.
	Artifacts *Artifacts
	Cache     *Cache
	// Batch reports that the file has a batch section.
	Batch   bool
	Unknown []UnknownKey // what the service only warns about

	lines []string
}

// Env is the section env, or environment_variables in version 0.1.
type Env struct {
	Shell               string // as written; empty for the image's sh
	Variables           []Variable
	ParameterStore      []Variable // Value is the parameter's name
	SecretsManager      []Variable // Value is secret-id:json-key:version-stage:version-id
	ExportedVariables   []string
	GitCredentialHelper bool
}

// Variable is a name and what is written beside it.
type Variable struct {
	Name, Value  string
	Line, Column int
}

// Phase is one of install, pre_build, build and post_build.
type Phase struct {
	Name      string // INSTALL, PRE_BUILD, BUILD or POST_BUILD
	Line      int
	RunAs     string
	OnFailure OnFailure
	Runtimes  []Variable // runtime and version, of install only
	Commands  []Command
	Finally   []Command
}

// Command is one item of commands or finally: a script.
type Command struct {
	Text         string
	Line, Column int  // where its text begins
	Block        bool // a literal block (|): each line of Text is one of the file
}

// Artifacts is the section artifacts, or one of its secondary-artifacts.
type Artifacts struct {
	Identifier    string // of secondary artifacts
	Files         []string
	ExcludePaths  []string
	BaseDirectory string
	Name          string
	S3Prefix      string
	DiscardPaths  bool
	Symlinks      bool
	Secondary     []Artifacts
	Line          int
}

// ReportGroup is one entry of the section reports.
type ReportGroup struct {
	Name          string // or an ARN
	Files         []string
	BaseDirectory string
	Format        string // upper case; JUNITXML where nothing is written
	DiscardPaths  bool
	Line          int
}

// Cache is the section cache.
type Cache struct {
	Paths        []string
	Key          string
	FallbackKeys []string
	Action       string
	Line         int
}

// UnknownKey is a key the service does not know and only warns about.
type UnknownKey struct{ Section, Key string }

// Phase returns the phase of a name such as PRE_BUILD, and whether it is
// written.
func (b *Buildspec) Phase(name string) (Phase, bool) {
	for _, p := range b.Phases {
		if p.Name == name {
			return p, true
		}
	}
	return Phase{Name: name}, false
}

// At returns a problem at a place of the file, with its source line.
func (b *Buildspec) At(line, column, width int, message string) diag.Problem {
	p := diag.Problem{File: b.File, Line: line, Column: column, Width: width, Message: message}
	if line > 0 && line <= len(b.lines) {
		p.Excerpt = b.lines[line-1]
	}
	return p
}

// Warning returns what the service writes about keys it does not know, or "".
// Observed: one event of several lines, once for a build.
func (b *Buildspec) Warning() string {
	if len(b.Unknown) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("Found possible syntax errors in buildspec: ")
	section := ""
	for i, u := range b.Unknown {
		if i == 0 || u.Section != section {
			section = u.Section
			text.WriteString("\nIn the section " + section + "\n    The following keys cannot be identified:")
		}
		text.WriteString("\n        " + u.Key)
	}
	return text.String()
}
