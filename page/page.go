// Package page writes a build as one page of HTML that needs nothing else: no network,
// no server, no other file. It also writes the index of all builds of a directory.
//
// The verdict and the facts are HTML, so they are visible without JavaScript. Everything else
// is data: JSON and pieces of the log, compressed, in script elements that browsers do not
// run. The page's own scripts unpack a piece when it is viewed, and put values into the page
// as text only. A log of several hundred megabytes stays usable that way.
package page

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io"
	"sync"

	"github.com/buildlocal/buildlocal/artifacts"
	"github.com/buildlocal/buildlocal/builds"
	"github.com/buildlocal/buildlocal/reports"
	"github.com/buildlocal/buildlocal/runner"
)

// Build is the data of a page. All fields except Reports may be missing.
type Build struct {
	Title     string          // of a page without a Record
	Record    *runner.Record  // nil for reports that belong to no build
	Reports   *reports.Set    // an empty set for no reports
	Log       io.ReadSeeker   // the log in CodeBuild's format, at its beginning; read twice
	Index     builds.LogIndex // the structure of the log
	Artifacts artifacts.Manifest
	Trend     []Summary // the kept builds of the project, the oldest first
	Apart     bool      // the page is not in the build's directory, so nothing there can be linked to
	// Source reads a file of the source, by its path from the root with slashes. It returns
	// nil for one that does not exist. A nil function has no files.
	Source func(name string) []byte
}

//go:embed assets
var assets embed.FS

// The scripts of both pages, in an order in which everything is defined before its use. The
// last one of each page starts it.
var (
	commonScripts = []string{"base.js", "format.js", "data.js", "controls.js"}
	buildScripts  = []string{
		"ansi.js", "code.js", "failure.js", "timeline.js", "side.js", "overview.js", "blocks.js", "layout.js",
		"log.js", "search.js", "tests.js", "tree.js", "coverage.js", "artifacts.js", "environment.js", "main.js",
	}
	indexScripts = []string{"builds.js"}
)

// Write writes the page of a build. An error leaves a part of the page behind; the caller
// writes to a temporary file. All texts come from a build, which is not trusted:
//
//   - Texts of the head are escaped (markup).
//   - Data is base64, which has no character that HTML knows.
//   - The content security policy allows one script and one style sheet, by their hashes, and
//     no connections, so even a mistake in a script cannot run code of the build or send data.
func Write(w io.Writer, b Build) error {
	style, script, err := readAssets(buildScripts)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	m := markup{out}
	v := viewsOf(b)
	m.begin(titleOf(b), style, script)
	m.header(b)
	m.views(v)
	data := newPieces(out)
	if err := data.all(b); err != nil {
		return err
	}
	// The script runs before the log, which can be long, is there.
	m.script(script)
	if b.Log != nil {
		if err := data.log(b); err != nil {
			return err
		}
	}
	m.end()
	return out.Flush()
}

// readAssets returns the style sheet, and the scripts of a page joined.
func readAssets(scripts []string) (style, script []byte, err error) {
	all, err := compactAssets()
	if err != nil {
		return nil, nil, err
	}
	for _, names := range [][]string{commonScripts, scripts} {
		for _, name := range names {
			script = append(append(script, all[name]...), '\n')
		}
	}
	return all[styleName], script, nil
}

// styleName is the style sheet of all pages.
const styleName = "page.css"

// compactAssets returns the style sheet and all scripts, by name. They are shipped without indentation
// and comments. That takes longer than the rest of a small page, and a build writes two pages.
var compactAssets = sync.OnceValues(func() (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, names := range [][]string{{styleName}, commonScripts, buildScripts, indexScripts} {
		for _, name := range names {
			text, err := assets.ReadFile("assets/" + name)
			if err != nil {
				return nil, err
			}
			compact := compactScript
			if name == styleName {
				compact = compactStyle
			}
			all[name] = compact(text)
		}
	}
	return all, nil
})

// Prepare does the part of the work that is the same for all pages, so that Write does not wait for it.
func Prepare() { _, _ = compactAssets() } // Write returns the error

// policy returns the content security policy of a page with one style sheet and one script.
func policy(style, script []byte) string {
	hash := func(text []byte) string {
		sum := sha256.Sum256(text)
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; "+
		"form-action 'none'", hash(script), hash(style))
}

// has reports whether a set has reports of a type.
func has(set *reports.Set, about reports.Type) bool {
	if set == nil {
		return false
	}
	for _, r := range set.Reports {
		if r.Type == about {
			return true
		}
	}
	return false
}
