// Package runtimes translates the runtime-versions of a buildspec into commands, using the
// runtimes.yml of a curated image.
//
// Read parses that file into a Table, and Table.Choose selects the versions and their
// dependencies. For images that are not available locally there is a table of the curated
// images without commands (Curated), which is enough to check a buildspec.
//
// The structure of the file follows from the Dockerfiles of the curated images. How CodeBuild
// chooses a version is derived from the reference and from logs.
package runtimes

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Path is the location of the table in a curated image.
const Path = "/codebuild/image/config/runtimes.yml"

// Messages of CodeBuild (observed): for an image with runtimes and a buildspec that selects
// none of them, and for an image without runtimes.
const (
	NoneSelected = "No runtime version selected in buildspec."
	NotSupported = "Skipping install of runtimes. Runtime version selection is not supported by this build image"
)

// Table is the runtimes of an image, by name.
type Table map[string]Runtime

// Runtime is the versions of one runtime. The key "default" is a template for versions that are
// not listed.
type Runtime struct {
	Versions map[string]Version `yaml:"versions"`
}

// Version is the commands that select a version, and the runtimes that it requires.
type Version struct {
	Requires map[string]texts `yaml:"requires"` // acceptable versions, by runtime
	Commands []string         `yaml:"commands"` // empty in the built-in tables
}

// texts is a list of strings that keep their spelling: 3.10 does not become 3.1.
type texts []string

// UnmarshalYAML reads a single string or a list of strings. Other kinds of values do not
// occur in the files of the curated images.
func (t *texts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*t = texts{node.Value}
		return nil
	}
	for _, item := range node.Content {
		*t = append(*t, item.Value)
	}
	return nil
}

// custom is the key of the template for versions that are not listed.
const custom = "default"

// Read parses a runtimes.yml. Keys that are not known here are ignored: new images may have
// more of them.
func Read(text []byte) (Table, error) {
	var file struct {
		Runtimes Table `yaml:"runtimes"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read %s of the image: %w", Path, err)
	}
	return file.Runtimes, nil
}

// Wish is an entry of runtime-versions, with its variables expanded. The version may be one
// of the image, "latest", a prefix such as 18.x, or one for the template.
type Wish struct{ Name, Version string }

// Choice is a selected version.
type Choice struct {
	Name     string
	Version  string   // as CodeBuild's log shows it
	Needed   string   // runtime that requires this one; empty if the buildspec requests it
	Commands []string // in the order of execution
	Env      string   // value of $VERSION for a template, or ""
}

// Unknown is the error for a runtime or version that the image does not have. In CodeBuild it
// is a YAML_FILE_ERROR. Message is CodeBuild's (observed).
type Unknown struct {
	Message       string
	Name, Version string   // requested; Version is empty if the runtime itself is unknown
	Known         []string // runtimes or versions of the image; nil for other errors
}

// Error returns CodeBuild's message, which the build's log has.
func (u *Unknown) Error() string { return u.Message }

// Plain returns a message of buildlocal, and a hint with a suggestion or the alternatives.
func (u *Unknown) Plain() (message, hint string) {
	alternatives := "it has " + strings.Join(u.Known, ", ")
	switch {
	case u.Known == nil:
		return u.Message, ""
	case u.Version == "":
		return "the image has no runtime " + u.Name, cmp.Or(diag.Question(u.Name, u.Known), alternatives)
	}
	// Versions are not suggested by similarity, because 18 is as close to 8 as to 20.
	return fmt.Sprintf("the image has no version %s of %s", u.Version, u.Name),
		cmp.Or(diag.Question(u.Version, []string{"latest"}), alternatives)
}

// Nearest returns the listed version that is nearest to the requested one: the highest lower one
// of the same major version, else the next higher one. It is "" for a text that is not a version.
func (u *Unknown) Nearest() string {
	if latest := diag.Suggest(u.Version, []string{"latest"}); latest != "" || len(u.Known) == 0 {
		return latest
	}
	if !strings.ContainsAny(u.Version, "0123456789") {
		return ""
	}
	at, _ := slices.BinarySearchFunc(u.Known, u.Version, compareVersions) // versions are in this order
	if at == len(u.Known) || at > 0 && major(u.Known[at-1]) == major(u.Version) {
		return u.Known[at-1]
	}
	return u.Known[at]
}

// major returns the first number of a version and the letters before it: corretto8 of corretto8.1.
func major(version string) string {
	text, _, _ := strings.Cut(version, ".")
	return text
}

// Check returns an *Unknown if the image does not have a requested version.
func (t Table) Check(w Wish) error {
	_, err := t.choose(w)
	return err
}

// Choose selects a version for each wish, in their order, and for the runtimes that these
// require. It calls say with CodeBuild's log line for each choice, including those before an
// error.
func (t Table) Choose(wishes []Wish, say func(string, ...any)) ([]Choice, error) {
	var choices []Choice
	for _, w := range wishes {
		c, err := t.choose(w)
		if err != nil {
			return nil, err
		}
		if c.Version != w.Version {
			say("Resolved '%s' runtime alias '%s' to '%s'.", c.Name, w.Version, c.Version)
		}
		say("Selecting '%s' runtime version '%s' based on manual selections...", c.Name, c.Version)
		choices = append(choices, c)
	}
	return t.needed(choices, say)
}

// choose selects a version for one wish.
func (t Table) choose(w Wish) (Choice, error) {
	runtime, known := t[w.Name]
	if !known {
		message := fmt.Sprintf("Unknown runtime named '%s'. This build image has the following runtimes: %s", w.Name,
			strings.Join(t.Names(), ", "))
		return Choice{}, &Unknown{Message: message, Name: w.Name, Known: t.Names()}
	}
	key, exact := runtime.find(w.Version)
	if exact {
		return Choice{Name: w.Name, Version: key, Commands: runtime.Versions[key].Commands}, nil
	}
	// The template's commands install $VERSION, which for java is the number of a Corretto.
	template, has := runtime.Versions[custom]
	if has && customForm(w.Name, w.Version) {
		return Choice{Name: w.Name, Version: w.Version, Commands: template.Commands, Env: strings.TrimPrefix(w.Version,
			"corretto")}, nil
	}
	message := fmt.Sprintf("Unknown runtime version named '%s' of %s. This build image has the following versions: %s",
		w.Version, w.Name, strings.Join(runtime.Keys(), ", "))
	return Choice{}, &Unknown{Message: message, Name: w.Name, Version: w.Version, Known: runtime.Keys()}
}

// find returns the listed version for a wish: the same text, the highest one for "latest", or the
// highest one with the prefix of "18.x" or "corretto8.x".
func (r Runtime) find(wish string) (string, bool) {
	keys := r.Keys()
	if slices.Contains(keys, wish) {
		return wish, true
	}
	if wish == "latest" && len(keys) > 0 {
		return keys[len(keys)-1], true
	}
	prefix, wild := strings.CutSuffix(wish, ".x")
	if !wild {
		return "", false
	}
	for _, key := range slices.Backward(keys) {
		if key == prefix || strings.HasPrefix(key, prefix+".") {
			return key, true
		}
	}
	return "", false
}

// Keys returns the listed versions, lowest first. The template is not included.
func (r Runtime) Keys() []string {
	var keys []string
	for key := range r.Versions {
		if key != custom {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compareVersions)
	return keys
}

// number matches the numeric and the other parts of a version.
var number = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\d+|\D+`)
})

// compareVersions compares numbers numerically: 3.9 is before 3.10, and corretto8 before
// corretto11. If one is a prefix of the other, the shorter one is first.
func compareVersions(a, b string) int {
	as, bs := number().FindAllString(a, -1), number().FindAllString(b, -1)
	for i := range min(len(as), len(bs)) {
		x, errX := strconv.Atoi(as[i])
		y, errY := strconv.Atoi(bs[i])
		order := cmp.Compare(as[i], bs[i])
		if errX == nil && errY == nil {
			order = cmp.Compare(x, y)
		}
		if order != 0 {
			return order
		}
	}
	return cmp.Compare(len(as), len(bs))
}

// Names returns the names of the runtimes, sorted.
func (t Table) Names() []string {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// forms match the versions that the template of a runtime accepts (documented). The versions of
// a runtime without a documented form are those of the image only.
var forms = sync.OnceValue(func() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"dotnet": regexp.MustCompile(`^\d+\.\d+\.\d+$`),
		"golang": regexp.MustCompile(`^\d+\.\d+(\.\d+)?$`),
		"java":   regexp.MustCompile(`^corretto\d+$`),
		"nodejs": regexp.MustCompile(`^\d+(\.\d+){0,2}$`),
		"php":    regexp.MustCompile(`^\d+\.\d+\.\d+$`),
		"python": regexp.MustCompile(`^\d+(\.\d+){0,2}$`),
		"ruby":   regexp.MustCompile(`^\d+\.\d+\.\d+$`),
	}
})

// customForm reports whether a version can be installed with the template of a runtime.
func customForm(name, version string) bool {
	form, known := forms()[name]
	return known && form.MatchString(version)
}

// needed adds the runtimes that choices require and the buildspec does not request. It returns an
// error if a requested version does not meet a requirement. Added runtimes may have
// requirements too, so the list grows while it is walked; names are sorted, because the
// order of a map would change the log from build to build.
func (t Table) needed(choices []Choice, say func(string, ...any)) ([]Choice, error) {
	for i := 0; i < len(choices); i++ {
		c := choices[i]
		requires := t[c.Name].Versions[c.Version].Requires
		for _, name := range slices.Sorted(maps.Keys(requires)) {
			added, err := t.need(choices, c, name, requires[name])
			if err != nil {
				sayConflict(choices, c, name, say)
				return nil, err
			}
			if added.Name != "" {
				say("Selecting '%s' runtime version '%s' based on the dependencies of '%s'...", added.Name, added.Version, c.Name)
				choices = append(choices, added)
			}
		}
	}
	return choices, nil
}

// sayConflict writes CodeBuild's line for a requirement that a requested version does not meet
// (observed).
func sayConflict(choices []Choice, by Choice, name string, say func(string, ...any)) {
	if at := indexOf(choices, name); at >= 0 {
		say("Runtime '%s' version '%s' has a dependency on runtime '%s', but '%s' version '%s' has already been "+
			"manually selected. Not attempting to override.", by.Name, by.Version, name, name, choices[at].Version)
	}
}

// indexOf returns the index of a runtime, or -1.
func indexOf(choices []Choice, name string) int {
	return slices.IndexFunc(choices, func(c Choice) bool { return c.Name == name })
}

// need returns the choice for one requirement, or the zero Choice if it is already met. The
// first acceptable version of the file is taken, which need not be the newest.
func (t Table) need(choices []Choice, by Choice, name string, versions []string) (Choice, error) {
	at := indexOf(choices, name)
	if at >= 0 && slices.Contains(versions, choices[at].Version) || len(versions) == 0 {
		return Choice{}, nil
	}
	if at >= 0 {
		return Choice{}, &Unknown{Message: fmt.Sprintf(
			"Runtime '%s' version '%s' needs %s %s, and version '%s' of it is selected",
			by.Name, by.Version, name, strings.Join(versions, " or "), choices[at].Version)}
	}
	c, err := t.choose(Wish{name, versions[0]})
	c.Needed = by.Name
	return c, err
}
