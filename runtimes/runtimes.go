// Package runtimes turns the runtime-versions of a buildspec into commands,
// with the runtimes.yml that a curated image brings along.
//
// The file's structure is documented by the Dockerfiles of the curated images;
// how a version is chosen is put together from the reference and from logs.
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

// Path is where a curated image keeps its table.
const Path = "/codebuild/image/config/runtimes.yml"

// Messages of the service (observed).
const (
	NoneSelected = "No runtime version selected in buildspec."
	NotSupported = "Skipping install of runtimes. Runtime version selection is not supported by this build image"
)

// Table is what an image offers.
type Table map[string]Runtime

// Runtime is one runtime's versions; the key "default" is a template for
// versions that are not listed.
type Runtime struct {
	Versions map[string]Version `yaml:"versions"`
}

// Version is one version's commands, and the runtimes it needs.
type Version struct {
	Requires map[string]texts `yaml:"requires"`
	Commands []string         `yaml:"commands"`
}

// texts is a list whose items keep the text that is written: 3.10, not 3.1.
type texts []string

// UnmarshalYAML reads one text or a list of them.
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

// Read reads a runtimes.yml.
func Read(text []byte) (Table, error) {
	var file struct {
		Runtimes Table `yaml:"runtimes"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read %s of the image: %w", Path, err)
	}
	return file.Runtimes, nil
}

// Wish is one entry of runtime-versions, its variables expanded.
type Wish struct{ Name, Version string }

// Choice is a version that will be selected.
type Choice struct {
	Name     string
	Version  string   // as the log shows it
	Needed   string   // the runtime that needs this one; empty when it was asked for
	Commands []string // in order
	Env      string   // the value of $VERSION for a template, or ""
}

// Unknown is a runtime or a version that the image does not have: a
// YAML_FILE_ERROR, in the service's words.
type Unknown struct {
	Message       string
	Name, Version string   // what was asked for; no Version where the runtime itself is unknown
	Known         []string // runtimes or versions of the image; nil for other faults
}

// Error returns the message.
func (u *Unknown) Error() string { return u.Message }

// Plain returns the message in words of our own, with what may be meant.
func (u *Unknown) Plain() string {
	switch {
	case u.Known == nil:
		return u.Message
	case u.Version == "":
		return fmt.Sprintf("the image has no runtime %s%s; it has %s", u.Name, diag.DidYouMean(u.Name, u.Known), strings.Join(u.Known, ", "))
	}
	latest := ""
	if diag.Suggest(u.Version, []string{"latest"}) != "" {
		latest = `; did you mean "latest"?`
	}
	return fmt.Sprintf("the image has no version %s of %s%s; it has %s", u.Version, u.Name, latest, strings.Join(u.Known, ", "))
}

// Check returns an *Unknown for a wish the image does not have.
func (t Table) Check(w Wish) error {
	_, err := t.choose(w)
	return err
}

// Choose picks a version for each wish, in their order, and for what these
// need. Say is told each choice as the log tells it, also before an error.
func (t Table) Choose(wishes []Wish, say func(string, ...any)) ([]Choice, error) {
	var choices []Choice
	for _, w := range wishes {
		c, err := t.choose(w)
		if err != nil {
			return nil, err
		}
		say("Selecting '%s' runtime version '%s' based on manual selections...", c.Name, c.Version)
		choices = append(choices, c)
	}
	return t.needed(choices, say)
}

func (t Table) choose(w Wish) (Choice, error) {
	runtime, known := t[w.Name]
	if !known {
		message := fmt.Sprintf("Unknown runtime named '%s'. This build image has the following runtimes: %s", w.Name, strings.Join(t.Names(), ", "))
		return Choice{}, &Unknown{Message: message, Name: w.Name, Known: t.Names()}
	}
	key, exact := runtime.find(w.Version)
	if exact {
		return Choice{Name: w.Name, Version: key, Commands: runtime.Versions[key].Commands}, nil
	}
	template, has := runtime.Versions[custom]
	if has && customForm(w.Name, w.Version) {
		return Choice{Name: w.Name, Version: w.Version, Commands: template.Commands, Env: strings.TrimPrefix(w.Version, "corretto")}, nil
	}
	message := fmt.Sprintf("Unknown runtime version named '%s' of %s. This build image has the following versions: %s", w.Version, w.Name, strings.Join(runtime.Keys(), ", "))
	return Choice{}, &Unknown{Message: message, Name: w.Name, Version: w.Version, Known: runtime.Keys()}
}

// find returns the listed version a wish means: the same text, the highest for
// "latest", the highest with that beginning for "18.x" or "corretto8.x".
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

// Keys returns the listed versions, lowest first.
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

var number = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\d+|\D+`)
})

// compareVersions orders by numbers where there are numbers: 3.9 before 3.10.
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

// Names returns the runtimes, sorted.
func (t Table) Names() []string {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// forms are the versions that a template takes (documented).
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

func customForm(name, version string) bool {
	form, known := forms()[name]
	return known && form.MatchString(version)
}

// needed adds the runtimes that choices need and nobody asked for, and checks
// those that somebody did.
func (t Table) needed(choices []Choice, say func(string, ...any)) ([]Choice, error) {
	for i := 0; i < len(choices); i++ {
		c := choices[i]
		requires := t[c.Name].Versions[c.Version].Requires
		for _, name := range slices.Sorted(maps.Keys(requires)) {
			added, err := t.need(choices, c, name, requires[name])
			if err != nil {
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

func (t Table) need(choices []Choice, by Choice, name string, versions []string) (Choice, error) {
	at := slices.IndexFunc(choices, func(c Choice) bool { return c.Name == name })
	if at >= 0 && slices.Contains(versions, choices[at].Version) || len(versions) == 0 {
		return Choice{}, nil
	}
	if at >= 0 {
		return Choice{}, &Unknown{Message: fmt.Sprintf("Runtime '%s' version '%s' needs %s %s, and version '%s' of it is selected", by.Name, by.Version, name, strings.Join(versions, " or "), choices[at].Version)}
	}
	c, err := t.choose(Wish{name, versions[0]})
	c.Needed = by.Name
	return c, err
}
