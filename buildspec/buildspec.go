// Package buildspec reads buildspec.yml: what its author wrote, with the place
// of everything and with every problem at once.
//
// The syntax is the one of the service's page "Build specification reference
// for CodeBuild"; where the page is silent, observed builds decide.
package buildspec

import (
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

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
	Batch     *Batch             // nil when the file has no such section
	Unknown   []UnknownInSection // what the service only warns about

	lines  []string
	places map[string]Place
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
	Line, Column int // of the name
}

// Batch is the section batch. One of its kinds is written, or several where the
// author made a mistake.
type Batch struct {
	FastFail bool
	Graph    []Task // build-graph
	List     []Task // build-list
	Matrix   *Matrix
	Fanout   *Fanout
	Kinds    []string // the keys that are written, in the order of the reference
}

// Task is one build of a build-graph or a build-list.
type Task struct {
	Identifier    string
	Buildspec     string // a path; empty for this buildspec
	DependOn      []string
	DebugSession  bool
	IgnoreFailure bool
	Env           TaskEnv
	Path          string // such as batch.build-graph[0]
}

// TaskEnv is the environment of a build of a batch, where it is not the
// project's.
type TaskEnv struct {
	ComputeType, Fleet, Image string
	Privileged                bool
	Type                      string // environment type
	Variables                 []Variable
}

// Matrix is the section build-matrix: one build for each combination.
type Matrix struct {
	IgnoreFailure bool
	Static        TaskEnv
	Buildspecs    []string
	ComputeTypes  []string
	Images        []string
	Variables     []Axis
}

// Axis is a variable of a matrix with the values it takes.
type Axis struct {
	Name   string
	Values []string
}

// Size is how many builds the matrix has.
func (m *Matrix) Size() int {
	size := max(1, len(m.Buildspecs)) * max(1, len(m.ComputeTypes)) * max(1, len(m.Images))
	for _, a := range m.Variables {
		size *= max(1, len(a.Values))
		if size > 1<<20 { // no use in counting on
			return size
		}
	}
	return size
}

// Fanout is the section build-fanout.
type Fanout struct {
	Parallelism   int // how many builds
	IgnoreFailure bool
}

// Phase is one of install, pre_build, build and post_build.
type Phase struct {
	Name      string // INSTALL, PRE_BUILD, BUILD or POST_BUILD
	Path      string // such as phases.build, as it is written
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
	Line, Column int // where its text begins
	Style        Style
	Path         string // such as phases.build.commands[2]
	Tagged       bool   // a word with ! before it was taken by YAML
}

// Style is how the text of a command is written.
type Style int

// The styles. Of a Literal block (|) each line of the text is one of the file.
const (
	Plain Style = iota
	Quoted
	Folded
	Literal
)

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

// UnknownInSection is a key the service does not know and only warns about.
type UnknownInSection struct{ Section, Key string }

// Place is where a key and its value stand.
type Place struct {
	Key, Value Spot
}

// Spot is some characters of one line. Line and Column count from 1; a Line of 0
// is nowhere.
type Spot struct {
	Line, Column, Width int
	Plain               bool // a text without quotes, on one line
}

func placeOf(key, value *yaml.Node) Place {
	var p Place
	if key != nil {
		p.Key = spotOf(key)
	}
	p.Value = spotOf(value)
	return p
}

func spotOf(node *yaml.Node) Spot {
	return Spot{Line: node.Line, Column: node.Column, Width: width(node), Plain: node.Kind == yaml.ScalarNode && node.Style == 0}
}

// Place returns where the key of a path such as artifacts.files, or the item of
// a list such as artifacts.files[0], stands.
func (b *Buildspec) Place(path string) Place { return b.places[path] }

// ProblemAt returns a problem with what stands at a path; that with its key when
// key is true.
func (b *Buildspec) ProblemAt(path string, key bool, message string) diag.Problem {
	spot := b.places[path].Value
	if key {
		spot = b.places[path].Key
	}
	p := b.At(spot.Line, spot.Column, spot.Width, message)
	p.Path = path
	return p
}

// Lines returns the lines of the file, without their ends.
func (b *Buildspec) Lines() []string { return b.lines }

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
		if len(p.Excerpt) <= longLine {
			p.Width = max(1, min(width, utf8.RuneCountInString(p.Excerpt)-column+1))
		}
	}
	return p
}

// longLine is, in bytes, what is measured for each problem in it; a line of a
// megabyte may have thousands.
const longLine = 4096

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
	return diag.Printable(text.String())
}
