// Package buildspec parses CodeBuild buildspecs.
//
// Parse turns the text of a buildspec into a Buildspec and a diag.List. It reads
// the whole file and reports every problem it finds, each with its position,
// instead of stopping at the first one. Reference describes all keys; the parser,
// the JSON Schema (Schema) and the completions of the language server are derived
// from that one table.
//
// The syntax follows the page "Build specification reference for CodeBuild" of the
// AWS documentation. If the page leaves a question open, the behavior observed in
// real builds decides; comments say which of the two applies.
//
// The package does not run commands, does not expand variables and does not look
// at the source directory. Package lint checks a buildspec against those.
package buildspec

import (
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Buildspec is a parsed buildspec. Scalar values keep their spelling: 3.10 does
// not become the number 3.1, and yes does not become true.
//
// A Buildspec is immutable once Parse returns it.
type Buildspec struct {
	File      string             // path as the user gave it
	Version   string             // 0.1 or 0.2; other versions are read as 0.2
	RunAs     string             // user that runs all phases; empty for root
	Env       Env                // section env
	Phases    []Phase            // phases that are present, in file order
	Reports   []ReportGroup      // report groups, in file order
	Artifacts *Artifacts         // nil if the file has no section artifacts
	Cache     *Cache             // nil if the file has no section cache
	Batch     *Batch             // nil if the file has no section batch
	Unknown   []UnknownInSection // keys that CodeBuild ignores with a warning

	lines  []string         // lines of the file, without line terminators
	places map[string]Place // positions of keys and list items, by path
}

// Env is the section env, or environment_variables in version 0.1. Variables are
// in file order.
type Env struct {
	Shell               string     // as written; empty selects the image's sh
	Variables           []Variable // literal values
	ParameterStore      []Variable // Value is the parameter's name
	SecretsManager      []Variable // Value is secret-id:json-key:version-stage:version-id
	ExportedVariables   []string   // names only; the values are known when the build ends
	GitCredentialHelper bool       // git in the build uses the credentials of the source
}

// Variable is a variable's name, its value and the position of the name.
type Variable struct {
	Name, Value  string
	Line, Column int // of the name
}

// Batch is the section batch. A valid batch has exactly one of the four kinds;
// package lint reports a batch that has several.
type Batch struct {
	FastFail bool     // the first failing build stops the others
	Graph    []Task   // build-graph
	List     []Task   // build-list
	Matrix   *Matrix  // build-matrix
	Fanout   *Fanout  // build-fanout
	Kinds    []string // the kinds that are present, in the order of the reference
}

// Task is one build of a build-graph or a build-list.
type Task struct {
	Identifier    string   // unique in the batch
	Buildspec     string   // path; empty for this buildspec
	DependOn      []string // identifiers of builds that must succeed first; build-graph only
	DebugSession  bool     // Session Manager may connect to the build
	IgnoreFailure bool     // a failure does not fail the batch
	Env           TaskEnv  // overrides of the project's environment
	Path          string   // key path, such as batch.build-graph[0]
}

// TaskEnv overrides the project's environment for one build of a batch. Empty
// fields leave the project's setting as it is.
type TaskEnv struct {
	ComputeType, Fleet, Image string
	Privileged                bool
	Type                      string // environment type
	Variables                 []Variable
}

// Matrix is the section build-matrix: one build for each combination of the lists.
// An empty list does not multiply the number of builds.
type Matrix struct {
	IgnoreFailure bool
	Static        TaskEnv
	Buildspecs    []string
	ComputeTypes  []string
	Images        []string
	Variables     []Axis
}

// Axis is a variable of a matrix with its values.
type Axis struct {
	Name   string
	Values []string
}

// Size returns the number of builds in the matrix. It stops multiplying once the
// result exceeds 1<<20, so the result is exact only below that.
func (m *Matrix) Size() int {
	size := max(1, len(m.Buildspecs)) * max(1, len(m.ComputeTypes)) * max(1, len(m.Images))
	for _, a := range m.Variables {
		size *= max(1, len(a.Values))
		if size > 1<<20 { // avoids overflow; such a matrix is far beyond any limit
			return size
		}
	}
	return size
}

// Fanout is the section build-fanout: copies of one build that share its tests.
type Fanout struct {
	Parallelism   int // number of builds
	IgnoreFailure bool
}

// Phase is one of the phases install, pre_build, build and post_build.
type Phase struct {
	Name      string     // INSTALL, PRE_BUILD, BUILD or POST_BUILD
	Path      string     // key path as written, such as phases.build
	Line      int        // line of the key
	RunAs     string     // user that runs the phase; empty for Buildspec.RunAs
	OnFailure OnFailure  // the zero value is CodeBuild's normal order of phases
	Runtimes  []Variable // runtimes and their versions; INSTALL only
	Commands  []Command
	Finally   []Command // runs after Commands, even if one of them failed
}

// Command is one item of commands or finally. It may be a script of several lines.
type Command struct {
	Text         string
	Line, Column int    // position of the first character of Text
	Style        Style  // how the text is written, needed to map lines back to the file
	Path         string // key path, such as phases.build.commands[2]
	Tagged       bool   // YAML consumed a leading word such as !Ref as a tag
}

// Style is the YAML style of a command.
type Style int

// The styles. Only in a Literal block (|) does each line of Text correspond to one
// line of the file.
const (
	Plain Style = iota
	Quoted
	Folded
	Literal
)

// Artifacts is the section artifacts, or one entry of secondary-artifacts.
type Artifacts struct {
	Identifier    string      // empty for the primary artifacts
	Files         []string    // patterns relative to BaseDirectory
	ExcludePaths  []string    // patterns relative to BaseDirectory
	BaseDirectory string      // relative to the source directory; may be a pattern
	Name          string      // not expanded yet; a shell expands it at the end of the build
	S3Prefix      string      // prefix of the objects in the bucket
	DiscardPaths  bool        // drop the directories of the files
	Symlinks      bool        // store symbolic links as links
	Secondary     []Artifacts // secondary artifacts, in file order; primary artifacts only
	Line          int         // line of the section's value or of the identifier
}

// ReportGroup is one entry of the section reports.
type ReportGroup struct {
	Name          string   // group name or ARN
	Files         []string // patterns relative to BaseDirectory
	BaseDirectory string   // relative to the source directory; may be a pattern
	Format        string   // upper case; JUNITXML if not set
	DiscardPaths  bool     // drop the directories of the files
	Line          int      // line of the group's name
}

// Cache is the section cache.
type Cache struct {
	Paths        []string // patterns, absolute or relative to the source directory
	Key          string   // not expanded yet; empty if not set
	FallbackKeys []string // key prefixes, tried in order after Key
	Action       string   // restore or save; empty for both
	Line         int      // line of the section's value
}

// UnknownInSection is a key that CodeBuild does not know. CodeBuild ignores such
// keys and prints a warning; see Buildspec.Warning.
type UnknownInSection struct {
	Section string // as CodeBuild's warning names it
	Key     string
}

// Place is the position of a key and of its value.
type Place struct {
	Key, Value Spot
}

// Spot is a run of characters in one line. Line and Column count from 1; a Line of
// 0 means that there is no position. Columns and widths count characters.
type Spot struct {
	Line, Column, Width int
	Plain               bool // an unquoted scalar in one line, so a fix can replace it as it is
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
	return Spot{Line: node.Line, Column: node.Column, Width: width(node), Plain: node.Kind == yaml.ScalarNode &&
		node.Style == 0}
}

// Place returns the position of the key at a path such as artifacts.files, or of
// the list item at a path such as artifacts.files[0]. It returns the zero Place if
// the path is not in the file.
func (b *Buildspec) Place(path string) Place { return b.places[path] }

// ProblemAt returns a problem at a path. It points at the key if key is true and at
// the value otherwise.
func (b *Buildspec) ProblemAt(path string, key bool, message string) diag.Problem {
	spot := b.places[path].Value
	if key {
		spot = b.places[path].Key
	}
	p := b.At(spot.Line, spot.Column, spot.Width, message)
	p.Path = path
	return p
}

// Lines returns the lines of the file, without line terminators. Callers must not
// modify them.
func (b *Buildspec) Lines() []string { return b.lines }

// Phase returns the phase with a name such as PRE_BUILD, and whether it is in the
// file.
func (b *Buildspec) Phase(name string) (Phase, bool) {
	for _, p := range b.Phases {
		if p.Name == name {
			return p, true
		}
	}
	return Phase{Name: name}, false
}

// At returns a problem at a position, with the line as its excerpt.
func (b *Buildspec) At(line, column, width int, message string) diag.Problem {
	p := diag.Problem{File: b.File, Line: line, Column: column, Width: width, Message: message}
	if line > 0 && line <= len(b.lines) {
		p.Excerpt = b.lines[line-1]
		if len(p.Excerpt) <= maxMeasuredLine {
			p.Width = max(1, min(width, utf8.RuneCountInString(p.Excerpt)-column+1))
		}
	}
	return p
}

// Around returns the lines of the file near a line, and the number of the first one: up to
// reach lines before and after it. It returns nil if the file has no such line.
func (b *Buildspec) Around(line, reach int) (lines []string, first int) {
	if line < 1 || line > len(b.lines) {
		return nil, 0
	}
	from, to := max(0, line-1-reach), min(len(b.lines), line+reach)
	if to == len(b.lines) && to > line && b.lines[to-1] == "" {
		to-- // after the last line break
	}
	return slices.Clone(b.lines[from:to]), from + 1
}

// maxMeasuredLine limits, in bytes, the lines whose length is measured for each of
// their problems. Without it, a line of a megabyte with thousands of problems would
// take quadratic time.
const maxMeasuredLine = 4096

// Warning returns CodeBuild's warning about unknown keys, or "" if there is no unknown key.
// Observed: CodeBuild prints one log event of several lines, once for each build.
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
