package affected

import (
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/internal/tree"
)

// manager is a package manager or a build tool. Some of its subcommands read certain files only; the
// others may read every file. Manifests count in every directory, because workspaces have many.
type manager struct {
	files []string        // manifests, lock files and settings
	reads map[string]bool // subcommands that read these only; "" is the program without one
	none  map[string]bool // subcommands that read no file of the source
	runs  map[string]bool // subcommands that run another command: the words after it
	goals bool            // all operands are subcommands
}

// manifests returns patterns that match names in every directory.
func manifests(names ...string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = "**/" + name
	}
	return all
}

// managers are the package managers by the name of their program. They are made when they are needed:
// every start of the program would pay for them.
var managers = sync.OnceValue(func() map[string]manager {
	return map[string]manager{
		"go": {files: manifests("go.mod", "go.sum", "go.work", "go.work.sum"),
			reads: words("mod get list version env"), none: words("install clean telemetry")},
		"cargo": {files: manifests("Cargo.toml", "Cargo.lock", ".cargo/**/*", "rust-toolchain*"),
			reads: words("fetch generate-lockfile metadata"), none: words("install login search")},
		"rustup": {files: manifests("rust-toolchain*"),
			reads: words("show default target component toolchain update override set self install")},
		"mvn":     maven,
		"mvnw":    maven,
		"gradle":  gradle,
		"gradlew": gradle,
		"bundle":  bundler,
		"bundler": bundler,
		"composer": {files: manifests("composer.json", "composer.lock", "auth.json"),
			reads: words("install update require validate config diagnose"), none: words("self-update global clear-cache")},
		"dotnet": {files: manifests("*.csproj", "*.fsproj", "*.vbproj", "*.sln", "*.slnx", "*.props", "*.targets",
			"[Nn]u[Gg]et.[Cc]onfig", "global.json", "packages.lock.json", "dotnet-tools.json"),
			reads: words("restore tool workload"), none: words("nuget new sdk")},
		"poetry": {files: manifests("pyproject.toml", "poetry.lock", "poetry.toml"),
			reads: words("install lock sync export check show add update"),
			none:  words("config self env cache about source"), runs: words("run")},
		"pipenv": {files: manifests("Pipfile", "Pipfile.lock"),
			reads: words("install sync lock requirements verify update"), none: words("--venv"), runs: words("run")},
		"uv": {files: manifests("pyproject.toml", "uv.lock", "uv.toml", ".python-version", "requirements*.txt"),
			reads: words("sync lock export add venv python"), none: words("self cache tool"), runs: words("run")},
		"pdm": {files: manifests("pyproject.toml", "pdm.lock"),
			reads: words("install sync lock export"), none: words("config self"), runs: words("run")},
		"nvm": {files: manifests(".nvmrc"), reads: words("install use"), none: words("alias ls current")},
		"fnm": {files: manifests(".nvmrc", ".node-version"),
			reads: words("install use"), none: words("env default")},
		"pyenv":         {files: manifests(".python-version"), reads: versions},
		"goenv":         {files: manifests(".go-version"), reads: versions},
		"jenv":          {files: manifests(".java-version"), reads: versions},
		"asdf":          {files: manifests(".tool-versions"), reads: words("install local global plugin reshim current")},
		"mise":          {files: manifests(".tool-versions", "mise.toml", ".mise.toml"), reads: words("install use trust")},
		"tfenv":         {files: manifests(".terraform-version"), reads: words("install use")},
		"corepack":      {files: manifests("package.json"), reads: words("enable disable prepare install use")},
		"prisma":        {files: []string{"**/prisma/**/*", "**/schema.prisma", "prisma.config.*"}, reads: words("generate")},
		"patch-package": {files: []string{"**/patches/**/*", "**/package.json"}, reads: map[string]bool{"": true}},
		"playwright":    {reads: words("install install-deps")},
		"cypress":       {reads: words("install verify cache")},
	}
})

var (
	versions = words("install local global shell rehash init versions add") // of version managers
	maven    = manager{files: manifests("pom.xml", ".mvn/**/*", "settings.xml", "mvnw"),
		reads: words("dependency:go-offline dependency:resolve dependency:resolve-plugins dependency:get"), goals: true}
	gradle = manager{files: manifests("*.gradle", "*.gradle.kts", "gradle.properties", "gradle/**/*", "*.lockfile",
		"buildSrc/**/*", "gradlew"), reads: words("dependencies wrapper downloadDependencies"), goals: true}
	bundler = manager{files: manifests("Gemfile", "Gemfile.lock", ".bundle/**/*", ".ruby-version", "*.gemspec"),
		reads: words("install update lock check package cache"), none: words("config version"), runs: words("exec")}
)

// manager follows a command of a package manager.
func (g *guesser) manager(m manager, command []string) {
	sub, rest := subcommand(command[1:])
	// One goal that is not known decides.
	unknown := func(w string) bool { return !m.reads[w] }
	if m.goals && slices.ContainsFunc(operands(command[1:]), unknown) {
		sub = ""
	}
	switch {
	case printsVersion(command), m.none[sub]:
	case m.runs[sub]:
		g.manifests(m.files, command)
		g.call(withoutOptions(rest))
	// go mod tidy and go mod vendor look at all imports.
	case m.reads[sub] && !(command[0] == "go" && len(rest) > 0 && words("tidy vendor why")[rest[0]]):
		g.manifests(m.files, command)
	default:
		g.everything(command)
	}
	if command[0] == "composer" {
		g.composer(command)
	}
	g.nameAll(without(command, sub))
}

// composer follows an installation by Composer, which runs scripts of the source.
func (g *guesser) composer(command []string) {
	sub, _ := subcommand(command[1:])
	installs := sub == "install" || sub == "update" || sub == "require"
	if !installs || slices.Contains(command, "--no-scripts") {
		return
	}
	for _, dir := range g.dirs {
		text, exists := g.read(path.Join(dir, "composer.json"))
		if strings.Contains(text, `"post-`) || strings.Contains(text, `"pre-`) || !exists {
			g.everything(command)
		}
	}
}

func (g *guesser) manifests(files, command []string) {
	for _, f := range files {
		g.add(f, command)
	}
}

// nodeFiles are the manifests of all package managers of Node.js.
var nodeFiles = append(manifests("package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock",
	"pnpm-lock.yaml", "bun.lock", "bun.lockb", ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml",
	".pnpmfile.cjs"), ".yarn/**/*", "**/patches/**/*", "lerna.json")

var (
	nodeInstalls = words("ci install i add clean-install it install-test fetch dedupe update up upgrade link " +
		"audit outdated ls list rebuild import remove uninstall")
	nodeNone = words("config set get login logout cache version view info whoami ping help store self-update doctor " +
		"adduser plugin policies berry bin root prefix token")
	nodeScripts = words("test t tst start stop restart")
	nodeHooks   = []string{"preinstall", "install", "postinstall", "preprepare", "prepare", "postprepare"}
	global      = words("-g --global global")
)

// node follows a command of npm, pnpm, yarn or bun.
func (g *guesser) node(command []string) {
	sub, rest := subcommand(command[1:])
	if sub == "" && command[0] == "yarn" && !printsVersion(command) {
		sub = "install"
	}
	g.nameAll(without(command, sub))
	switch {
	case sub == "" && printsVersion(command), nodeNone[sub]:
	case slices.ContainsFunc(command, func(w string) bool { return global[w] }):
		g.manifests(manifests(".npmrc"), command)
	case nodeInstalls[sub]:
		g.manifests(nodeFiles, command)
		g.hooks(command)
	case sub == "run" || sub == "run-script":
		script, _ := subcommand(rest)
		g.runScript(script, command)
	case nodeScripts[sub], command[0] != "npm":
		g.runScript(map[bool]string{true: "test", false: sub}[sub == "t" || sub == "tst"], command)
	default:
		g.everything(command)
	}
}

// hooks follows the scripts of package.json that an installation runs.
func (g *guesser) hooks(command []string) {
	if slices.Contains(command, "--ignore-scripts") {
		return
	}
	for _, scripts := range g.packages() {
		for _, hook := range nodeHooks {
			if text := scripts[hook]; text != "" {
				g.nested(text, hook)
			}
		}
	}
}

// runScript follows a script of package.json. One that is not found may read every file.
func (g *guesser) runScript(script string, command []string) {
	found := false
	for _, scripts := range g.packages() {
		text, is := scripts[script]
		if !is {
			continue
		}
		found = true
		for _, part := range []string{scripts["pre"+script], text, scripts["post"+script]} {
			g.nested(part, script)
		}
	}
	if !found {
		g.everything(command)
		return
	}
	g.manifests(manifests("package.json"), command)
}

// nested follows a script of package.json.
func (g *guesser) nested(text, script string) {
	g.within = append(g.within, script+" of package.json")
	defer func() { g.within = g.within[:len(g.within)-1] }()
	g.script(text)
}

// packages returns the scripts of each package.json in the working directories.
func (g *guesser) packages() []map[string]string {
	var all []map[string]string
	for _, dir := range g.dirs {
		name := path.Join(dir, "package.json")
		if !tree.IsLiteral(name) {
			continue
		}
		var manifest struct {
			Scripts map[string]string `json:"scripts"`
		}
		if text, exists := g.read(name); exists && json.Unmarshal([]byte(text), &manifest) == nil {
			all = append(all, manifest.Scripts)
		}
	}
	return all
}

// pip follows a command of pip. Files of requirements can name others.
func (g *guesser) pip(command []string) {
	sub, rest := subcommand(command[1:])
	g.nameAll(without(command, sub))
	for i, w := range rest {
		switch {
		case (w == "-r" || w == "--requirement" || w == "-c" || w == "--constraint") && i+1 < len(rest):
			g.requirements(rest[i+1], command)
		case strings.HasPrefix(w, "--requirement="):
			g.requirements(strings.TrimPrefix(w, "--requirement="), command)
		case strings.HasPrefix(w, "-r") && len(w) > 2:
			g.requirements(w[2:], command)
		}
	}
	if sub == "wheel" || sub == "download" || sub == "install" || printsVersion(command) {
		return
	}
	if !words("config cache list freeze show uninstall check inject ensurepath upgrade")[sub] {
		g.everything(command)
	}
}

// requirements adds the files that a file of requirements names. They are relative to it.
func (g *guesser) requirements(file string, command []string) {
	for _, dir := range g.dirs {
		below, is := resolve(dir, file)
		if !is || !tree.IsLiteral(below) || g.done["requirements "+below] {
			continue
		}
		g.done["requirements "+below] = true
		text, _ := g.read(below)
		for line := range strings.Lines(text) {
			g.requirement(line, path.Dir(below), command)
		}
	}
}

// requirement follows a line of a file of requirements in a directory. An installed directory, such as
// -e ., is read with all its files; it is relative to the working directory.
func (g *guesser) requirement(line, dir string, command []string) {
	fields := strings.Fields(strings.ReplaceAll(line, "=", " "))
	if len(fields) < 2 || !words("-r --requirement -c --constraint -e --editable")[fields[0]] {
		return
	}
	dirs := g.dirs
	defer func() { g.dirs = dirs }()
	g.dirs = append([]string{dir}, dirs...)
	g.name(fields[1], command)
	if !strings.HasPrefix(fields[0], "-e") && fields[0] != "--editable" {
		g.requirements(fields[1], command)
	}
}
