package starter

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"strings"
)

// maxManifest is the largest file that is read, in bytes.
const maxManifest = 1 << 20

// read returns a file, or "" if it cannot be read or is large.
func read(dir fs.FS, name string) string {
	info, err := fs.Stat(dir, name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxManifest {
		return ""
	}
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return ""
	}
	return string(text)
}

// has reports whether a file or directory exists.
func has(dir fs.FS, name string) bool {
	_, err := fs.Stat(dir, name)
	return err == nil
}

// existing returns those of the names that exist.
func existing(dir fs.FS, names ...string) []string {
	var all []string
	for _, name := range names {
		if has(dir, name) {
			all = append(all, name)
		}
	}
	return all
}

// glob returns the names that match one of the patterns.
func glob(dir fs.FS, patterns ...string) []string {
	var all []string
	for _, pattern := range patterns {
		names, _ := fs.Glob(dir, pattern)
		all = append(all, names...)
	}
	return all
}

// find returns the first group of an expression in a text, or "".
func find(text, expression string) string {
	if m := regexp.MustCompile(expression).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

// nodeManager is a package manager of Node.js, recognized by its lock file.
type nodeManager struct {
	lock    string
	install []string
	run     string // runs a script of package.json
	cache   string
}

var nodeManagers = []nodeManager{
	{"pnpm-lock.yaml", []string{"npm install --global pnpm", "pnpm install --frozen-lockfile"}, "pnpm run ",
		"/root/.local/share/pnpm/store/**/*"},
	{"yarn.lock", []string{"npm install --global yarn", "yarn install --frozen-lockfile"}, "yarn run ",
		"/usr/local/share/.cache/yarn/**/*"},
	{"package-lock.json", []string{"npm ci"}, "npm run ", "/root/.npm/**/*"},
	{"", []string{"npm install"}, "npm run ", "/root/.npm/**/*"},
}

// manifest is the part of package.json that counts here.
type manifest struct {
	Scripts         map[string]string `json:"scripts"`
	Engines         map[string]string `json:"engines"`
	Dependencies    map[string]any    `json:"dependencies"`
	DevDependencies map[string]any    `json:"devDependencies"`
}

func detectNode(dir fs.FS) (Part, bool) {
	if !has(dir, "package.json") {
		return Part{}, false
	}
	var m manifest
	_ = json.Unmarshal([]byte(read(dir, "package.json")), &m) // without scripts the install remains
	p := Part{Language: "Node.js", Files: []string{"package.json"}, Runtime: "nodejs"}
	if p.Version = find(read(dir, ".nvmrc"), `^v?(\d+)`); p.Version != "" {
		p.From = ".nvmrc"
	}
	if version := find(m.Engines["node"], `(\d+)`); version != "" {
		p.Version, p.From = version, `"engines"`
	}
	for _, manager := range nodeManagers {
		if manager.lock != "" && !has(dir, manager.lock) {
			continue
		}
		if manager.lock != "" {
			p.Files = append(p.Files, manager.lock)
		}
		p.Install, p.Cache = manager.install, []string{manager.cache}
		for _, script := range []string{"lint", "test", "build"} {
			text, there := m.Scripts[script]
			if !there || strings.Contains(text, "no test specified") { // as npm init writes it
				continue
			}
			p.Build = append(p.Build, strings.ReplaceAll(manager.run+script, "npm run test", "npm test"))
		}
		break
	}
	if _, builds := m.Scripts["build"]; builds {
		p.Artifacts = []string{nodeOutput(m) + "/**/*"}
	}
	return p, true
}

// nodeOutput returns the directory that the build script most likely writes.
func nodeOutput(m manifest) string {
	for name, output := range map[string]string{"react-scripts": "build", "next": ".next"} {
		if m.Dependencies[name] != nil || m.DevDependencies[name] != nil {
			return output
		}
	}
	return "dist"
}

func detectGo(dir fs.FS) (Part, bool) {
	if !has(dir, "go.mod") {
		return Part{}, false
	}
	p := Part{Language: "Go", Files: existing(dir, "go.mod", "go.sum"), Runtime: "golang", From: "go.mod",
		Version: find(read(dir, "go.mod"), `(?m)^go (\d+\.\d+)`), Install: []string{"go mod download"},
		Build: []string{"go vet ./...", "go test ./...", "go build ./..."}, Cache: []string{"/go/pkg/mod/**/*"}}
	return p, true
}

func detectMaven(dir fs.FS) (Part, bool) {
	if !has(dir, "pom.xml") {
		return Part{}, false
	}
	mvn := "mvn"
	if has(dir, "mvnw") {
		mvn = "sh ./mvnw"
	}
	p := Part{Language: "Java", Files: existing(dir, "pom.xml", "mvnw"), Runtime: "java", From: "pom.xml",
		Build: []string{mvn + " --batch-mode verify"}, Artifacts: []string{"target/*.jar"},
		Cache: []string{"/root/.m2/**/*"}, Reports: []string{"target/surefire-reports/*.xml"}}
	version := find(read(dir, "pom.xml"),
		`<(?:maven\.compiler\.release|java\.version|maven\.compiler\.source|release)>(\d+)<`)
	if version != "" {
		p.Version = "corretto" + version
	}
	return p, true
}

func detectGradle(dir fs.FS) (Part, bool) {
	files := existing(dir, "build.gradle", "build.gradle.kts", "gradlew")
	if len(files) == 0 || files[0] == "gradlew" {
		return Part{}, false
	}
	gradle := "gradle"
	if has(dir, "gradlew") {
		gradle = "sh ./gradlew"
	}
	p := Part{Language: "Java", Files: files, Runtime: "java", From: files[0],
		Build: []string{gradle + " --no-daemon build"}, Artifacts: []string{"build/libs/*.jar"},
		Cache: []string{"/root/.gradle/caches/**/*"}, Reports: []string{"build/test-results/test/*.xml"}}
	if version := find(read(dir, files[0]), `(?:JavaLanguageVersion\.of\(|VERSION_)(\d+)`); version != "" {
		p.Version = "corretto" + version
	}
	return p, true
}

func detectPython(dir fs.FS) (Part, bool) {
	files := existing(dir, "pyproject.toml", "requirements.txt", "Pipfile", "setup.py")
	if len(files) == 0 {
		return Part{}, false
	}
	p := Part{Language: "Python", Runtime: "python", Cache: []string{"/root/.cache/pip/**/*"}}
	p.Version, p.From = find(read(dir, ".python-version"), `^(\d+\.\d+)`), ".python-version"
	run := ""
	switch {
	case has(dir, "uv.lock"):
		files = []string{"pyproject.toml", "uv.lock"}
		p.Install, run, p.Cache = []string{"pip install uv", "uv sync --locked"}, "uv run ", []string{"/root/.cache/uv/**/*"}
	case has(dir, "poetry.lock"):
		files = []string{"pyproject.toml", "poetry.lock"}
		p.Install, run = []string{"pip install poetry", "poetry install --no-interaction"}, "poetry run "
	case has(dir, "Pipfile"):
		files = existing(dir, "Pipfile", "Pipfile.lock")
		p.Install, run = []string{"pip install pipenv", "pipenv install --dev"}, "pipenv run "
	case has(dir, "requirements.txt"):
		p.Install = []string{"pip install --requirement requirements.txt"}
	default:
		p.Install = []string{"pip install ."}
	}
	text := ""
	for _, name := range files {
		text += read(dir, name)
	}
	p.Build, p.Files = []string{run + "python -m unittest"}, files
	if strings.Contains(text, "pytest") {
		p.Build, p.Reports = []string{run + "python -m pytest --junitxml=reports/junit.xml"}, []string{"reports/junit.xml"}
	}
	return p, true
}

func detectRust(dir fs.FS) (Part, bool) {
	if !has(dir, "Cargo.toml") {
		return Part{}, false
	}
	p := Part{Language: "Rust", Files: existing(dir, "Cargo.toml", "Cargo.lock"), Runtime: "rust",
		Build: []string{"cargo test", "cargo build --release"}, Cache: []string{"/root/.cargo/registry/**/*"}}
	if name := find(read(dir, "Cargo.toml"), `(?m)^name\s*=\s*"([\w-]+)"`); name != "" && has(dir, "src/main.rs") {
		p.Artifacts = []string{"target/release/" + name}
	}
	return p, true
}

func detectRuby(dir fs.FS) (Part, bool) {
	if !has(dir, "Gemfile") {
		return Part{}, false
	}
	p := Part{Language: "Ruby", Files: existing(dir, "Gemfile", "Gemfile.lock"), Runtime: "ruby", From: ".ruby-version",
		Version: find(read(dir, ".ruby-version"), `^(?:ruby-)?(\d+\.\d+)`), Install: []string{"bundle install"},
		Build: []string{"bundle exec rake"}}
	if has(dir, "spec") {
		p.Build = []string{"bundle exec rspec"}
	}
	return p, true
}

func detectPHP(dir fs.FS) (Part, bool) {
	if !has(dir, "composer.json") {
		return Part{}, false
	}
	p := Part{Language: "PHP", Files: existing(dir, "composer.json", "composer.lock"), Runtime: "php",
		From:    "composer.json",
		Version: find(read(dir, "composer.json"), `"php"\s*:\s*"[^"\d]*(\d+\.\d+)`),
		Install: []string{"composer install --no-interaction --prefer-dist"}, Cache: []string{"/root/.composer/cache/**/*"},
		Build: []string{"composer validate"}}
	if strings.Contains(read(dir, "composer.json"), "phpunit") {
		p.Build, p.Reports = []string{"vendor/bin/phpunit --log-junit reports/junit.xml"}, []string{"reports/junit.xml"}
	}
	return p, true
}

func detectDotNet(dir fs.FS) (Part, bool) {
	files := glob(dir, "*.sln", "*.csproj", "*.fsproj")
	if len(files) == 0 {
		return Part{}, false
	}
	p := Part{Language: ".NET", Files: files, Runtime: "dotnet", From: "global.json",
		Version: find(read(dir, "global.json"), `"version"\s*:\s*"(\d+\.\d+)`), Install: []string{"dotnet restore"},
		Build:     []string{"dotnet test", "dotnet publish --configuration Release --output out"},
		Artifacts: []string{"out/**/*"}, Cache: []string{"/root/.nuget/packages/**/*"}}
	for _, name := range files {
		if version := find(read(dir, name), `<TargetFramework>net(\d+\.\d+)<`); version != "" {
			p.Version, p.From = version, name
		}
	}
	return p, true
}
