package image

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/cmd/settings"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/runtimes"
)

// SlimOptions are the flags of image slim.
type SlimOptions struct {
	settings.Flags        // those of run that select the image and the buildspec
	Dockerfile     string // -o: the file to write; "" for the standard output
}

// newSlim returns the command slim. Its options are apart from those of the group, because
// they are flags of run with the same names; of the group it only gets --engine.
func newSlim(a *cli.App, group *Options, runF cli.RunF[SlimOptions]) *cobra.Command {
	o := &SlimOptions{}
	c := &cobra.Command{
		Use: "slim", Short: "Write a Dockerfile for an image with fewer runtimes", Args: cli.NoArgs,
		Long: "Write a Dockerfile that starts from the build's image, keeps only the versions that\n" +
			"runtime-versions selects, also in its runtimes.yml, and squashes the result into\n" +
			"one layer. The image must be available locally, because its contents are read.",
		Example: "  buildlocal image slim -o slim.Dockerfile\n  docker build -t slim - <slim.Dockerfile\n  buildlocal " +
			"run -i slim",
	}
	o.AddSome(c, "source", "source-root", "buildspec", "image", "project", "project-name", "images")
	c.Flags().StringVarP(&o.Dockerfile, "output", "o", "", "write the Dockerfile to `FILE` (default: standard output)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := group.needsDocker(c); err != nil {
			return err
		}
		if err := o.Settle(c.Context(), a, c); err != nil {
			return err
		}
		return runF.Or(a, slim)(c.Context(), o)
	}
	return c
}

// slim writes the Dockerfile. A file is written at the end only, so an error keeps an
// earlier one.
func slim(ctx context.Context, a *cli.App, o *SlimOptions) error {
	text, err := dockerfile(ctx, a, o)
	if err != nil {
		return err
	}
	if o.Dockerfile == "" {
		_, err = a.Stdout.Write(text)
		return err
	}
	return os.WriteFile(o.Dockerfile, text, 0o644)
}

// dockerfile returns the text of the Dockerfile.
func dockerfile(ctx context.Context, a *cli.App, o *SlimOptions) ([]byte, error) {
	in, err := a.Load(ctx, &o.Request)
	if in != nil {
		defer in.Close()
	}
	if err != nil {
		return nil, err
	}
	// CodeBuild accepts runtime-versions in the install phase only.
	install, _ := in.Spec.Phase("INSTALL")
	if len(install.Runtimes) == 0 {
		return nil, cli.Usagef("%s selects no runtimes; add runtime-versions to its install phase", in.Spec.File)
	}
	plan, err := in.Plan()
	if err != nil {
		return nil, err
	}
	image := cmp.Or(plan.StandIn, plan.Image) // with --images the substitute is made smaller
	e, err := a.Docker(ctx)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	w := dockerfileWriter{}
	if w.image, err = findImage(ctx, a, "docker", image); err != nil {
		return nil, err
	}
	text, _, err := a.ImageRuntimes(ctx, image)
	if err != nil {
		return nil, err
	}
	// Not a curated image: nothing says where its runtimes are.
	if text == nil {
		return nil, cli.Usagef("image %s has no %s, so no runtimes can be removed", image, runtimes.Path)
	}
	if w.table, err = runtimes.Read(text); err != nil {
		return nil, err
	}
	var wishes []runtimes.Wish
	for _, v := range install.Runtimes {
		wishes = append(wishes, runtimes.Wish{Name: v.Name, Version: v.Value})
	}
	// The same choice as in a build, so latest, 18.x and required runtimes are resolved. Its
	// log lines are of no interest here.
	if w.choices, err = w.table.Choose(wishes, func(string, ...any) {}); err != nil {
		return nil, err
	}
	if w.env, w.entrypoint, err = e.ImageEnv(ctx, w.image.ID); err != nil {
		return nil, err
	}
	return w.write(text)
}

// dockerfileWriter writes the Dockerfile of an image with fewer runtimes.
type dockerfileWriter struct {
	image      shownImage
	env        []string          // of the image, as NAME=VALUE
	entrypoint []string          // of the image
	table      runtimes.Table    // all runtimes of the image
	choices    []runtimes.Choice // those to keep
}

// runtimeDirs are the directories of one version of a runtime in the curated images.
// VERSION is the value of the image's variable for it. The paths are those of the
// Dockerfiles of April 2026; AWS does not document them.
var runtimeDirs = map[string][]string{
	"python": {"/root/.pyenv/versions/VERSION"},
	"ruby":   {"/usr/local/rbenv/versions/VERSION", "/root/.rbenv/versions/VERSION"},
	"php":    {"/root/.phpenv/versions/VERSION"},
	"nodejs": {"/usr/local/n/versions/node/VERSION"},
	"golang": {"/root/.goenv/versions/VERSION"},
}

// removedDirs returns the directories of versions that are not selected, sorted, each
// once. A directory that a selected version shares with another one is kept.
func (s *dockerfileWriter) removedDirs() []string {
	var all []string
	kept := s.wanted()
	for _, name := range s.table.Names() {
		for _, version := range s.table[name].Keys() {
			if !s.wants(name, version) {
				all = append(all, s.dirs(name, version)...)
			}
		}
	}
	all = slices.DeleteFunc(all, func(dir string) bool { return slices.Contains(kept, dir) })
	slices.Sort(all)
	return slices.Compact(all)
}

// wanted returns the directories of the selected versions.
func (s *dockerfileWriter) wanted() []string {
	var all []string
	for _, c := range s.choices {
		all = append(all, s.dirs(c.Name, c.Version)...)
	}
	return all
}

// wants reports whether a version is selected.
func (s *dockerfileWriter) wants(name, version string) bool {
	return slices.ContainsFunc(s.choices, func(c runtimes.Choice) bool { return c.Name == name && c.Version == version })
}

// dirs returns the directories of a version. The commands in runtimes.yml name a variable
// of the image, such as $PYTHON_312_VERSION or $JAVA_21_HOME; its value is the full version,
// or for java the directory itself. A value with a colon is a search path, and a short path
// is not the directory of one version: removing it would damage the image.
func (s *dockerfileWriter) dirs(name, version string) []string {
	commands := strings.Join(s.table[name].Versions[version].Commands, "\n")
	var all []string
	for _, variable := range s.env {
		key, value, _ := strings.Cut(variable, "=")
		if !strings.Contains(commands, "$"+key) || value == "" || strings.ContainsAny(value, ": ") {
			continue
		}
		if strings.HasPrefix(value, "/") && strings.Count(value, "/") > 2 {
			all = append(all, value)
		}
		// Directories that do not exist in this image are harmless: rm -f ignores them.
		for _, place := range runtimeDirs[name] {
			all = append(all, strings.ReplaceAll(place, "VERSION", value))
		}
	}
	return all
}

// write returns the Dockerfile. The table is the text of the image's runtimes.yml. Removing
// files in a later layer frees no space, so a second stage copies the rest into one layer.
func (s *dockerfileWriter) write(table []byte) ([]byte, error) {
	// A build of the result must not offer versions that were removed.
	kept, err := runtimes.Keep(table, s.wants)
	if err != nil {
		return nil, err
	}
	base := cmp.Or(s.image.Name, s.image.ID)
	// With a digest, the Dockerfile builds on the image that was read even if its tag moves.
	// A base without a slash may be an ID, to which no digest can be added.
	if s.image.Digest != "" && strings.Contains(base, "/") {
		base = engine.Repository(base) + "@" + s.image.Digest
	}
	// The first lines say where the image comes from: the file is often committed.
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s, with only", s.image.Name)
	for _, c := range s.choices {
		fmt.Fprintf(&b, " %s %s", c.Name, c.Version)
	}
	from := "FROM"
	if s.image.Platform != "linux/"+runtime.GOARCH { // docker build would take its own platform
		from += " --platform=" + s.image.Platform
	}
	// The files belong to root, whatever user the image has.
	fmt.Fprintf(&b, ". Written by buildlocal image slim.\n%s %s AS full\nUSER 0\n", from, base)
	if dirs := s.removedDirs(); len(dirs) > 0 {
		fmt.Fprintf(&b, "RUN rm -rf \\\n    %s\n", strings.Join(dirs, " \\\n    "))
	}
	// printf instead of a heredoc, which needs BuildKit.
	fmt.Fprintf(&b, "RUN printf '%%s\\n' \\\n")
	lines := strings.Split(strings.TrimRight(string(kept), "\n"), "\n")
	// Each line is one argument in single quotes, in which the shell expands nothing.
	for _, line := range lines {
		fmt.Fprintf(&b, "    '%s' \\\n", strings.ReplaceAll(line, "'", `'\''`))
	}
	fmt.Fprintf(
		&b,
		"    >%s\n\n# A single layer, without the removed files.\n%s scratch\nCOPY --from=full / /\n",
		runtimes.Path,
		from,
	)
	// COPY takes files only, so the second stage repeats the configuration of the image.
	for _, variable := range s.env {
		key, value, _ := strings.Cut(variable, "=")
		if !s.leftOut(key) && !strings.Contains(value, "\n") { // an ENV instruction cannot contain line breaks
			fmt.Fprintf(&b, "ENV %s=%s\n", key, dockerQuote(value))
		}
	}
	// The exec form, as a JSON array: the shell form would add sh -c. Its strings are JSON,
	// for which the quoting of Go is the same except for rare control characters.
	if len(s.entrypoint) > 0 {
		var words []string
		for _, w := range s.entrypoint {
			words = append(words, fmt.Sprintf("%q", w))
		}
		fmt.Fprintf(&b, "ENTRYPOINT [%s]\n", strings.Join(words, ", "))
	}
	return b.Bytes(), nil
}

// leftOut reports whether a variable of the image only describes versions that are not
// selected, such as $PYTHON_39_VERSION. Commands of a build could take it for installed.
func (s *dockerfileWriter) leftOut(variable string) bool {
	used := false // by a version that is not selected; other variables are kept
	for name, r := range s.table {
		for version, v := range r.Versions {
			if !strings.Contains(strings.Join(v.Commands, "\n"), "$"+variable) {
				continue
			}
			if s.wants(name, version) {
				return false
			}
			used = true
		}
	}
	return used
}

// dockerQuote quotes a value so that a Dockerfile does not expand it. ENV replaces $NAME and
// ${NAME}, also in double quotes, unless the $ is escaped.
func dockerQuote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(value) + `"`
}
