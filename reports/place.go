package reports

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Tree is the set of files in a source, to find those that reports mention.
type Tree struct {
	root  string // source directory in the build, absolute, separated by slashes
	files map[string]bool
	bases map[string][]named
	found map[[2]string]string // cached results of Find
}

// named is a file with its base name.
type named struct {
	file string
	// It keeps a frame in a library from being taken for a file of the same name in the source.
	strange bool
}

// NewTree returns a Tree of files, which are relative to the source and separated by slashes. root
// is the source directory at the time of the build, or "" if it is unknown. Building the index
// costs one pass over the names; a report asks for tens of thousands of files.
func NewTree(root string, files []string) *Tree {
	t := &Tree{root: strings.TrimSuffix(root, "/"), files: map[string]bool{}, bases: map[string][]named{},
		found: map[[2]string]string{}}
	for _, f := range files {
		t.files[f] = true
		base := path.Base(f)
		t.bases[base] = append(t.bases[base], named{f, known().strange.MatchString(f)})
	}
	return t
}

// The patterns are compiled on first use, because most runs of the program read no report.
type patterns struct {
	strange *regexp.Regexp   // directories of third-party code, where a test's own place is not
	system  *regexp.Regexp   // places outside of any source
	frames  []*regexp.Regexp // how messages and stacks name a line of a file
	java    *regexp.Regexp   // likewise, with the class, whose package is the directory
}

var known = sync.OnceValue(func() patterns {
	return patterns{
		strange: regexp.MustCompile(`(^|/)(node_modules|site-packages|dist-packages|vendor|\.venv|venv|bower_components)/`),
		system:  regexp.MustCompile(`^(/usr|/lib\d*|/opt|/rustc|/root|/nix|/snap|[A-Za-z]:/Program Files)/`),
		java:    regexp.MustCompile(`at (?:[\w.]+/+)?([\w.$]+)\.[\w$<>]+\(([\w$]+\.(?:java|kt|groovy|scala)):(\d+)\)`),
		frames: []*regexp.Regexp{
			// The order matters: the general pattern would also match part of the more specific forms.
			regexp.MustCompile(`File "([^"]+)", line (\d+)`),                                                 // Python
			regexp.MustCompile(` in ([^\n]+?):line (\d+)`),                                                   // .NET
			regexp.MustCompile(` in (/[^\s:]+) on line (\d+)`),                                               // PHP
			regexp.MustCompile(`([^\s:"'()\[\]<>|,=]*[^\s:"'()\[\]<>|,=/]\.[A-Za-z][A-Za-z0-9]{0,9}):(\d+)`), // most others
			regexp.MustCompile(`([^\s:"'()\[\]<>|,=]+\.[A-Za-z][A-Za-z0-9]{0,9})\((\d+)\)`),                  // Visual C++
		},
	}
})

// Find returns the source file that a report mentions. It looks for the path in the build, for a
// path below any directory, and for the last components of the path if hint, such as a package or
// class, makes them unique. It returns "" if the file is ambiguous.
func (t *Tree) Find(name, hint string) string {
	asked := [2]string{name, hint}
	if file, known := t.found[asked]; known {
		return file
	}
	file := t.find(name, hint)
	t.found[asked] = file
	return file
}

func (t *Tree) find(name, hint string) string {
	// Stack traces of ES modules in Node.js have file URLs, those on Windows backslashes.
	name = strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "file:")
	if below := strings.TrimLeft(name, "/"); len(name)-len(below) > 1 {
		name = "/" + below
	}
	// A path inside of the source directory is exact. If the file is not there, the build generated
	// it, and a file of the same name elsewhere would be wrong.
	if below, found := strings.CutPrefix(name, t.root+"/"); found && t.root != "" {
		name = below
		if name = path.Clean(name); t.files[name] {
			return name
		}
		return ""
	}
	if name = path.Clean(name); t.files[name] {
		return name
	}
	// Standard libraries have files with common names, such as utils.py or testing.go.
	if known().system.MatchString(name) {
		return ""
	}
	var best []string
	odd := known().strange.MatchString(name)
	for _, n := range t.bases[path.Base(name)] {
		// longer: the report has a path relative to a module or package. shorter: it has an absolute path
		// of another machine or container, such as that of a multi-stage docker build.
		longer := strings.HasSuffix(n.file, "/"+name)
		shorter := strings.Contains(n.file, "/") && strings.HasSuffix(name, "/"+n.file)
		if (longer || shorter) && n.strange == odd {
			best = append(best, n.file)
		}
	}
	if len(best) > 1 {
		best = nearest(best, hint)
	}
	if len(best) != 1 {
		return ""
	}
	return best[0]
}

// nearest keeps the files whose directories share most components with a hint. It compares from the
// file upward. For a hint such as com.acme.CartTest the directory com/acme of one of several
// modules is preferred.
func nearest(files []string, hint string) []string {
	parts := strings.FieldsFunc(hint, func(r rune) bool { return strings.ContainsRune("./:$ >", r) })
	most, kept := 0, []string{}
	for _, f := range files {
		common := 0
		dirs := strings.Split(f, "/")
		for i := range min(len(dirs), len(parts)) {
			if !slices.Contains(parts, dirs[max(0, len(dirs)-2-i)]) {
				break
			}
			common++
		}
		switch {
		case common > most:
			most, kept = common, []string{f}
		case common == most && most > 0:
			kept = append(kept, f)
		}
	}
	return kept
}

// maxPlaces limits the lines of a message that are examined.
const maxPlaces = 400

// Locate returns the line of the source at which a case failed: the line in its message or stack
// trace, or else the one that the report has for the case.
func (t *Tree) Locate(c *Case) {
	found := t.places(c)
	switch {
	// Most tools print the innermost frame first. In a Java trace with causes the innermost cause is
	// last; places has removed the frames before it.
	case len(found) > 0 && lastCounts(c.Message, found):
		c.Place = &found[len(found)-1]
	case len(found) > 0:
		c.Place = &found[0]
	case c.at.File != "":
		if f := t.Find(c.at.File, c.Prefix); f != "" {
			c.Place = &Place{f, c.at.Line}
		}
	}
}

// places returns the source lines in a message, of its innermost cause.
func (t *Tree) places(c *Case) []Place {
	var found []Place
	for i, line := range strings.SplitN(c.Message, "\n", maxPlaces) {
		if i == maxPlaces-1 {
			break
		}
		// Frames before a cause belong to the code that wrapped the error.
		if strings.HasPrefix(strings.TrimSpace(line), "cause: ") {
			found = nil
		}
		if p, ok := t.frame(line, c.Prefix); ok {
			found = append(found, p)
		}
	}
	return found
}

// lastCounts reports whether a stack trace has the failing line at its end, as in Python.
func lastCounts(message string, found []Place) bool {
	return strings.Contains(message, "Traceback (most recent call last)") || strings.HasSuffix(found[len(found)-1].File,
		".py")
}

// frame returns the first place in a line that is a file of the source and not third-party code.
func (t *Tree) frame(line, hint string) (Place, bool) {
	if m := known().java.FindStringSubmatch(line); m != nil {
		// A Java frame has the name of the file without its directory, which follows from the package of
		// the class.
		class := strings.ReplaceAll(m[1], ".", "/")
		if f := t.Find(path.Join(path.Dir(class), m[2]), hint); f != "" {
			n, _ := strconv.Atoi(m[3])
			return Place{f, n}, true
		}
		return Place{}, false
	}
	for _, frame := range known().frames {
		for _, m := range frame.FindAllStringSubmatch(line, -1) {
			if f := t.Find(m[1], hint); f != "" && !known().strange.MatchString(f) {
				n, _ := strconv.Atoi(m[2])
				return Place{f, n}, true
			}
		}
	}
	return Place{}, false
}

// Place sets the source locations of the failed cases and of the covered files.
func (r *Report) Place(t *Tree) {
	for i := range r.Cases {
		// Other cases need no place: nothing links to it, and searching each stack takes time.
		if r.Cases[i].Status.Bad() {
			t.Locate(&r.Cases[i])
		}
	}
	for i, c := range r.Coverage {
		r.Coverage[i].Place = t.Find(c.Path, "")
	}
}
