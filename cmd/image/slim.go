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

func newSlim(a commands) *cobra.Command {
	f := &settings.Flags{}
	output := ""
	c := &cobra.Command{
		Use: "slim", Short: "Write a Dockerfile for an image with only the runtimes of this buildspec", Args: cli.NoArgs,
		Long: "Write a Dockerfile that starts from the build's image, keeps only the versions that\n" +
			"runtime-versions selects, also in its runtimes.yml, and squashes the result into\n" +
			"one layer. The image must be available locally, because its contents are read.",
		Example: "  buildlocal image slim -o slim.Dockerfile\n  docker build -t slim - <slim.Dockerfile\n  buildlocal " +
			"run -i slim",
	}
	f.AddSome(c, "source", "buildspec", "image", "project", "project-name", "images")
	c.Flags().StringVarP(&output, "output", "o", "", "write the Dockerfile to `FILE` (default: standard output)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := f.Settle(c.Context(), a.App, c); err != nil {
			return err
		}
		text, err := a.slim(c.Context(), f)
		if err != nil {
			return err
		}
		if output == "" {
			_, err = a.Stdout.Write(text)
			return err
		}
		return os.WriteFile(output, text, 0o644)
	}
	return c
}

// slim returns the text of the Dockerfile.
func (a commands) slim(ctx context.Context, f *settings.Flags) ([]byte, error) {
	in, err := a.Load(ctx, &f.Request)
	if in != nil {
		defer in.Close()
	}
	if err != nil {
		return nil, err
	}
	install, _ := in.Spec.Phase("INSTALL")
	if len(install.Runtimes) == 0 {
		return nil, cli.Usagef("%s selects no runtimes; add runtime-versions to its install phase", in.Spec.File)
	}
	plan, err := in.Plan()
	if err != nil {
		return nil, err
	}
	image := cmp.Or(plan.StandIn, plan.Image)
	e, err := a.Docker(ctx)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	i, err := a.findImage(ctx, &imageFlags{engine: "docker"}, image)
	if err != nil {
		return nil, err
	}
	text, _, err := a.ImageRuntimes(ctx, image)
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, cli.Usagef("image %s has no %s, so no runtimes can be removed", image, runtimes.Path)
	}
	table, err := runtimes.Read(text)
	if err != nil {
		return nil, err
	}
	var wishes []runtimes.Wish
	for _, v := range install.Runtimes {
		wishes = append(wishes, runtimes.Wish{Name: v.Name, Version: v.Value})
	}
	choices, err := table.Choose(wishes, func(string, ...any) {})
	if err != nil {
		return nil, err
	}
	env, entrypoint, err := e.ImageEnv(ctx, i.ID)
	if err != nil {
		return nil, err
	}
	w := dockerfileWriter{image: i, env: env, entrypoint: entrypoint, table: table, choices: choices}
	return w.write(text)
}

// dockerfileWriter writes the Dockerfile of an image with fewer runtimes.
type dockerfileWriter struct {
	image      shownImage
	env        []string
	entrypoint []string
	table      runtimes.Table
	choices    []runtimes.Choice
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

// removedDirs returns the directories of versions that are not selected.
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

func (s *dockerfileWriter) wanted() []string {
	var all []string
	for _, c := range s.choices {
		all = append(all, s.dirs(c.Name, c.Version)...)
	}
	return all
}

func (s *dockerfileWriter) wants(name, version string) bool {
	return slices.ContainsFunc(s.choices, func(c runtimes.Choice) bool { return c.Name == name && c.Version == version })
}

// dirs returns the directories of a version. The commands in runtimes.yml name a variable
// of the image, and its value is a version, or for java a directory.
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
		for _, place := range runtimeDirs[name] {
			all = append(all, strings.ReplaceAll(place, "VERSION", value))
		}
	}
	return all
}

// write returns the Dockerfile. The table is the text of the image's runtimes.yml.
func (s *dockerfileWriter) write(table []byte) ([]byte, error) {
	kept, err := runtimes.Keep(table, s.wants)
	if err != nil {
		return nil, err
	}
	base := cmp.Or(s.image.Name, s.image.ID)
	if s.image.Digest != "" && strings.Contains(base, "/") {
		base = engine.Repository(base) + "@" + s.image.Digest
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s, with only", s.image.Name)
	for _, c := range s.choices {
		fmt.Fprintf(&b, " %s %s", c.Name, c.Version)
	}
	from := "FROM"
	if s.image.Platform != "linux/"+runtime.GOARCH { // else the platform is the default
		from += " --platform=" + s.image.Platform
	}
	fmt.Fprintf(&b, ". Written by buildlocal image slim.\n%s %s AS full\nUSER 0\n", from, base)
	if dirs := s.removedDirs(); len(dirs) > 0 {
		fmt.Fprintf(&b, "RUN rm -rf \\\n    %s\n", strings.Join(dirs, " \\\n    "))
	}
	fmt.Fprintf(&b, "RUN printf '%%s\\n' \\\n")
	lines := strings.Split(strings.TrimRight(string(kept), "\n"), "\n")
	for _, line := range lines {
		fmt.Fprintf(&b, "    '%s' \\\n", strings.ReplaceAll(line, "'", `'\''`))
	}
	fmt.Fprintf(
		&b,
		"    >%s\n\n# A single layer, without the removed files.\n%s scratch\nCOPY --from=full / /\n",
		runtimes.Path,
		from,
	)
	for _, variable := range s.env {
		key, value, _ := strings.Cut(variable, "=")
		if !s.leftOut(key) && !strings.Contains(value, "\n") { // an ENV instruction cannot contain line breaks
			fmt.Fprintf(&b, "ENV %s=%s\n", key, dockerQuote(value))
		}
	}
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
// selected.
func (s *dockerfileWriter) leftOut(variable string) bool {
	used := false
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

// dockerQuote quotes a value so that a Dockerfile does not expand it.
func dockerQuote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(value) + `"`
}
