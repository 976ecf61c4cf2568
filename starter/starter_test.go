package starter

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func files(names ...string) fstest.MapFS {
	dir := fstest.MapFS{}
	for _, name := range names {
		name, text, _ := strings.Cut(name, "=")
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return dir
}

var offered = Runtimes{"nodejs": {"20", "22"}, "golang": {"1.24", "1.26"}, "java": {"corretto17", "corretto21"},
	"python": {"3.11", "3.13"}, "ruby": {"3.4"}, "php": {"8.3"}, "dotnet": {"8.0"}, "rust": {"1.93"}}

func TestDetect_EachPackageManager(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		dir      fstest.MapFS
		runtime  string
		commands []string
	}{
		"npm": {files(`package.json={"scripts":{"test":"jest"},"engines":{"node":">=20"}}`, "package-lock.json"), "nodejs 20",
			[]string{"npm ci", "npm test"}},
		"yarn": {files(`package.json={"scripts":{"build":"x"}}`, "yarn.lock"), "nodejs 22",
			[]string{"npm install --global yarn", "yarn install --frozen-lockfile", "yarn run build"}},
		"pnpm": {files("package.json={}", "pnpm-lock.yaml", ".nvmrc=v20.1"), "nodejs 20",
			[]string{"npm install --global pnpm", "pnpm install --frozen-lockfile"}},
		"go": {files("go.mod=module x\n\ngo 1.24.1\n"), "golang 1.24",
			[]string{"go mod download", "go vet ./...", "go test ./...", "go build ./..."}},
		"maven": {files("pom.xml=<java.version>17</java.version>", "mvnw"), "java corretto17",
			[]string{"sh ./mvnw --batch-mode verify"}},
		"gradle": {files("build.gradle.kts"), "java corretto21", []string{"gradle --no-daemon build"}},
		"pip": {files("requirements.txt=pytest"), "python 3.13",
			[]string{"pip install --requirement requirements.txt", "python -m pytest --junitxml=reports/junit.xml"}},
		"poetry": {files("pyproject.toml", "poetry.lock"), "python 3.13",
			[]string{"pip install poetry", "poetry install --no-interaction", "poetry run python -m unittest"}},
		"uv": {files("pyproject.toml", "uv.lock", ".python-version=3.11\n"), "python 3.11",
			[]string{"pip install uv", "uv sync --locked", "uv run python -m unittest"}},
		"cargo":   {files("Cargo.toml"), "rust 1.93", []string{"cargo test", "cargo build --release"}},
		"bundler": {files("Gemfile", "spec/a_spec.rb"), "ruby 3.4", []string{"bundle install", "bundle exec rspec"}},
		"composer": {files(`composer.json={"require":{"php":"^8.3"}}`), "php 8.3",
			[]string{"composer install --no-interaction --prefer-dist", "composer validate"}},
		"dotnet": {files("a.csproj=<TargetFramework>net8.0</TargetFramework>"), "dotnet 8.0",
			[]string{"dotnet restore", "dotnet test", "dotnet publish --configuration Release --output out"}},
	} {
		parts := Detect(test.dir, offered)
		if len(parts) != 1 {
			t.Errorf("%s: %d languages", name, len(parts))
			continue
		}
		if got := parts[0].Runtime + " " + parts[0].Version; got != test.runtime {
			t.Errorf("%s: runtime %s, want %s", name, got, test.runtime)
		}
		if diff := cmp.Diff(test.commands, slices.Concat(parts[0].Install, parts[0].Build)); diff != "" {
			t.Errorf("%s: commands\n%s", name, diff)
		}
	}
}

func TestBuildspec_WithoutLanguage(t *testing.T) {
	t.Parallel()
	if text := Buildspec(Detect(files("README.md"), offered)); !strings.Contains(text, "replace this") {
		t.Errorf("got %s", text)
	}
}
