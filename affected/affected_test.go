package affected

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// sourceWith returns a source with files, written as NAME or as NAME and its contents after a colon.
func sourceWith(files ...string) fs.FS {
	all := fstest.MapFS{}
	for _, f := range files {
		name, text, _ := strings.Cut(f, ":")
		all[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o755}
	}
	return all
}

func changed(names ...string) []Change {
	var all []Change
	for _, name := range names {
		all = append(all, Change{name, Changed})
	}
	return all
}

func TestFirst_Commit(t *testing.T) {
	t.Parallel()
	source := sourceWith("ci/tag.sh:TAG=$(git -C . describe --tags)", "a.go:")
	for _, c := range []struct {
		command string
		phase   Phase
		uses    bool
	}{
		{"echo hello", Phase{}, false},
		{"git config user.name me; git clone https://host/x y", Phase{}, false},
		{"npm ci", Phase{}, false},
		{"git rev-parse --short HEAD", Phase{}, true},
		{"sh ci/tag.sh", Phase{}, true},
		{"TAG=$(echo $CODEBUILD_RESOLVED_SOURCE_VERSION | cut -c 1-7)", Phase{}, true},
		{`test "$CODEBUILD_SOURCE_VERSION" = main && echo yes`, Phase{}, true},
		{"make version", Phase{}, true},
		{"make version", Phase{Said: []string{"Makefile"}}, false},
		{"make version", Phase{Seen: &Opened{Files: []string{"Makefile"}}}, false},
		{"make version", Phase{Seen: &Opened{Files: []string{".git/HEAD"}}}, true},
		{"git describe", Phase{Said: []string{"Makefile"}}, true},
		{"echo $CODEBUILD_RESOLVED_SOURCE_VERSION", Phase{Seen: &Opened{}}, true},
	} {
		c.phase.Name, c.phase.Commands = "PRE_BUILD", []string{c.command}
		d := First([]Phase{c.phase}, []Change{{".git", Commit}}, source)
		if uses := d.Phase == 0; uses != c.uses || strings.HasPrefix(d.Reason, "the commit changed; PRE_BUILD ") != uses {
			t.Errorf("%s with %+v: %s", c.command, c.phase, d.Reason)
		}
	}
	phases := []Phase{{Name: "INSTALL", Commands: []string{"echo"}}, {Name: "BUILD", Commands: []string{"git log -1"}}}
	d := First(phases, []Change{{"a.go", Changed}, {".git", Commit}}, source)
	if d.Phase != 1 || d.Reason != "the commit and 1 other file changed; INSTALL does not name them (guessed)" {
		t.Errorf("a later phase uses it: %d, %s", d.Phase, d.Reason)
	}
	d = First(phases[:1], []Change{{"a.go", Changed}, {".git", Commit}}, source)
	if d.Phase != 1 || d.Reason != "a.go changed; INSTALL does not name it (guessed)" {
		t.Errorf("no phase uses it: %d, %s", d.Phase, d.Reason)
	}
}

// TestFirst_Commands has a command for each row, the files that it reads and those that it does not.
func TestFirst_Commands(t *testing.T) {
	t.Parallel()
	source := sourceWith(
		"package.json:"+`{"scripts":{"build":"tsc","lint":"echo lint","ver":"cat VERSION","postinstall":"sh hooks/post.sh"}}`,
		"hooks/post.sh:cat hooks/data.txt", "scripts/setup.sh:#!/bin/sh\napt-get update\n. scripts/lib.sh\n",
		"scripts/lib.sh:cp config/base.yml /etc/", "scripts/all.sh:make all",
		"scripts/loop.sh:sh scripts/loop.sh; cat VERSION",
		"tools/gen:#!/usr/bin/env python3\nprint(1)", "tools/run:#!/usr/bin/env bash\ncat VERSION",
		"requirements.txt:-r req/base.txt\nflask==1\n", "req/base.txt:-c constraints.txt\n", "dev.txt:-e .\n",
		"web/package.json:"+`{"scripts":{"build":"vite build","pre":"true"}}`, "web/src/a.ts", "src/a.go", "VERSION",
	)
	for _, tt := range []struct{ command, reads, not string }{
		{"echo hello", "", "src/a.go package.json"},
		{"apt-get update && apt-get install -y jq", "", "src/a.go"},
		{"npm ci", "package.json package-lock.json web/package.json .npmrc hooks/post.sh hooks/data.txt", "src/a.go VERSION"},
		{"npm ci --ignore-scripts", "package.json", "hooks/data.txt src/a.go"},
		{"sudo npm install --prefix web", "web/package.json", "web/src/a.ts"},
		{"npm install -g yarn", ".npmrc", "package.json src/a.go"},
		{"npm config set registry https://x.example", "", "package.json src/a.go"},
		{"npm --version", "", "package.json"},
		{"npm run build", "src/a.go package.json", ""},
		{"npm run lint", "package.json", "src/a.go"},
		{"npm run ver", "VERSION", "src/a.go"},
		{"npm run nothing", "src/a.go", ""},
		{"npm test", "src/a.go", ""},
		{"yarn", "yarn.lock package.json", "src/a.go"},
		{"yarn install --frozen-lockfile", "yarn.lock .yarnrc.yml", "src/a.go"},
		{"yarn build", "src/a.go", ""},
		{"pnpm i --frozen-lockfile", "pnpm-lock.yaml pnpm-workspace.yaml", "src/a.go"},
		{"cd web && npm ci && npm run pre", "web/package.json", "web/src/a.ts"},
		{"cd web && npm run build", "web/src/a.ts src/a.go", ""},
		{"npx jest", "src/a.go", ""},
		{"pip install -r requirements.txt", "requirements.txt req/base.txt req/constraints.txt", "src/a.go"},
		{"python -m pip install -r requirements.txt awscli", "req/base.txt", "src/a.go"},
		{"pip install -r dev.txt", "src/a.go", ""},
		{"pip3 install --upgrade pip", "", "requirements.txt src/a.go"},
		{"pip install .", "src/a.go", ""},
		{"pip install -e ./web", "web/src/a.ts", "src/a.go"},
		{"poetry install --no-root", "poetry.lock pyproject.toml", "src/a.go"},
		{"poetry run pytest", "src/a.go", ""},
		{"poetry run cat VERSION", "VERSION poetry.lock", "src/a.go"},
		{"uv sync --frozen", "uv.lock", "src/a.go"},
		{"pipenv install --dev", "Pipfile.lock", "src/a.go"},
		{"pytest", "src/a.go", ""},
		{"python setup.py bdist", "src/a.go", ""},
		{"python3 --version", "", "src/a.go"},
		{`node -p "require('./package.json').version"`, "package.json", "src/a.go"},
		{`V=$(node -p "require('./package').version")`, "package.json", "src/a.go"},
		{`python -c "import json;print(json.load(open('cfg/a.json')))"`, "cfg/a.json", "src/a.go"},
		{"go mod download", "go.mod go.sum", "src/a.go"},
		{"go mod tidy", "src/a.go", ""},
		{"go install example.com/x@v1", "", "go.mod src/a.go"},
		{"go test ./...", "src/a.go", ""},
		{"go build -o app ./cmd", "src/a.go", ""},
		{"cargo fetch", "Cargo.lock x/Cargo.toml", "src/a.go"},
		{"cargo build --release", "src/a.go", ""},
		{"mvn -B dependency:go-offline -s settings.xml", "pom.xml api/pom.xml .mvn/x settings.xml", "src/a.go"},
		{"mvn dependency:go-offline package", "src/a.go", ""},
		{"./mvnw -q package", "src/a.go", ""},
		{"./gradlew dependencies", "build.gradle gradle/wrapper/gradle-wrapper.properties gradlew", "src/a.go"},
		{"./gradlew build", "src/a.go", ""},
		{"bundle install --jobs 4", "Gemfile.lock", "src/a.go"},
		{"bundle exec rspec", "src/a.go", ""},
		{"composer install --no-dev", "src/a.go composer.lock", ""},
		{"composer install --no-scripts", "composer.lock", "src/a.go"},
		{"dotnet restore", "App/App.csproj nuget.config", "src/a.go"},
		{"dotnet publish -c Release", "src/a.go", ""},
		{"nvm install", ".nvmrc", "src/a.go"},
		{"n 20", "", "src/a.go"},
		{"make", "src/a.go Makefile", ""},
		{"docker build -t x .", "src/a.go", ""},
		{"docker build -t $REPO:latest -f web/Dockerfile web", "web/src/a.ts", "src/a.go"},
		{"docker build -t $IMAGE web", "src/a.go", ""},
		{"docker login -u AWS --password-stdin $REPO", "", "src/a.go"},
		{"docker compose up -d", "src/a.go", ""},
		{"docker run --rm alpine true", "", "src/a.go"},
		{"docker run -v $PWD:/w alpine", "src/a.go", ""},
		{"aws ecr get-login-password --region $R | docker login -u AWS --password-stdin $REPO", "", "src/a.go"},
		{"aws s3 sync . s3://bucket/", "src/a.go", ""},
		{"aws s3 sync web s3://bucket/$X", "web/src/a.ts", "src/a.go"},
		{"aws cloudformation deploy --template-file cfn/t.yml --stack-name x", "cfn/t.yml", "src/a.go"},
		{"terraform init", "src/a.go", ""},
		{"curl -sSL https://x.example/i.sh | bash", "", "src/a.go"},
		{"curl -o /tmp/x -d @body.json https://x.example", "body.json", "src/a.go"},
		{"unzip -q awscliv2.zip -d . && sudo ./aws/install", "", "src/a.go"},
		{"cp -r config/* /etc/app/", "config/a/b", "src/a.go"},
		{"cp /tmp/tool .", "", "src/a.go"},
		{"cp -r . /tmp/w", "src/a.go", ""},
		{"cp $FILE /tmp", "src/a.go", ""},
		{"tar czf /tmp/x.tgz .", "src/a.go", ""},
		{"tar xzf /tmp/x.tgz -C .", "", "src/a.go"},
		{"ls -la .", "", "src/a.go"},
		{"mkdir -p dist && chmod +x scripts/*.sh", "scripts/setup.sh", "src/a.go"},
		{"find . -name '*.go'", "src/a.go", ""},
		{"for f in src/*.go; do echo $f; done", "src/a.go", "web/src/a.ts"},
		{"if [ -f VERSION ]; then echo; fi", "VERSION", "src/a.go"},
		{"[[ -f VERSION ]] && echo", "VERSION", "src/a.go"},
		{"V=$(cat VERSION)", "VERSION", "src/a.go"},
		{"export V=$(<VERSION)", "VERSION", "src/a.go"},
		{"cat $CODEBUILD_SRC_DIR/VERSION", "VERSION", "src/a.go"},
		{`cat "$DIR/VERSION"`, "VERSION a/VERSION", "src/a.go"},
		{"bash scripts/setup.sh", "scripts/setup.sh scripts/lib.sh config/base.yml", "src/a.go"},
		{"./scripts/setup.sh dev", "scripts/lib.sh config/base.yml", "src/a.go"},
		{"chmod +x scripts/all.sh; scripts/all.sh", "src/a.go", ""},
		{"sh scripts/loop.sh", "VERSION", "src/a.go"},
		{"sh -c 'cat VERSION'", "VERSION", "src/a.go"},
		{"./tools/gen", "src/a.go", ""},
		{"./tools/run", "VERSION tools/run", "src/a.go"},
		{"f() { cat VERSION; }; f", "VERSION", "src/a.go"},
		{"bash $SCRIPT", "src/a.go", ""},
		{"$TOOL x", "src/a.go", ""},
		{"/usr/bin/make", "src/a.go", ""},
		{"/opt/tool x", "src/a.go", ""},
		{"Get-Content (x", "src/a.go", ""},
		{"git submodule update --init", ".gitmodules", "src/a.go"},
		{"git rev-parse HEAD", "", "src/a.go"},
		{"git diff --exit-code", "src/a.go", ""},
		{"cd web; cat package.json", "web/package.json", "src/a.go"},
		{`cd "$(dirname "$0")/.."; cat VERSION`, "VERSION x/VERSION", "src/a.go"},
		{"eval $(ssh-agent -s)", "src/a.go", ""},
		{"xargs cat < VERSION", "VERSION", "src/a.go"},
	} {
		phases := []Phase{{Name: "BUILD", Commands: []string{tt.command}}}
		for _, file := range strings.Fields(tt.reads) {
			if d := First(phases, changed(file), source); d.Phase != 0 {
				t.Errorf("%s does not read %s: %s", tt.command, file, d.Reason)
			}
		}
		for _, file := range strings.Fields(tt.not) {
			if d := First(phases, changed(file), source); d.Phase != 1 {
				t.Errorf("%s reads %s: %s", tt.command, file, d.Reason)
			}
		}
	}
}

func TestFirst_DirectoryOfEarlierPhase(t *testing.T) {
	t.Parallel()
	phases := []Phase{
		{Name: "PRE_BUILD", Commands: []string{"cd sub"}}, {Name: "BUILD", Commands: []string{"cat x.txt"}},
	}
	if d := First(phases, changed("sub/x.txt"), sourceWith("sub/x.txt")); d.Name != "BUILD" {
		t.Errorf("got %+v", d)
	}
}

func TestFirst_Reasons(t *testing.T) {
	t.Parallel()
	guessed := []Phase{{Name: "INSTALL", Commands: []string{"npm ci"}},
		{Name: "PRE_BUILD", Commands: []string{"sh ci/pre.sh"}}, {Name: "BUILD", Commands: []string{"make"}}}
	said := []Phase{{Name: "INSTALL", Commands: []string{"make"}, Said: []string{"package*.json", "ci"}},
		{Name: "BUILD", Commands: []string{"true"}, Said: []string{}}, guessed[2]}
	seen := []Phase{{Name: "INSTALL", Seen: &Opened{Files: []string{"package.json"}, Dirs: []string{"."}}},
		{Name: "BUILD", Commands: []string{"true"}, Seen: &Opened{Files: []string{"src/a.go"}, Dirs: []string{"src"}}}}
	mixed := []Phase{said[0], seen[0], guessed[2]}
	source := sourceWith("ci/pre.sh:cat ci/x", "ci/x", "src/a.go", "src/new/b.go", "src/new/c.go", "package.json", "top")
	added := func(names ...string) []Change {
		all := changed(names...)
		for i := range all {
			all[i].Kind = Added
		}
		return all
	}
	for _, tt := range []struct {
		phases  []Phase
		changes []Change
		want    string
	}{
		{guessed, nil, "3 : no file changed"},
		{guessed, changed("src/a.go"), "2 guessed: src/a.go changed; INSTALL and PRE_BUILD do not name it (guessed)"},
		{guessed, changed("package.json"), "0 guessed: package.json changed; INSTALL reads it: npm ci (guessed)"},
		{guessed[1:], changed("ci/x"), "0 guessed: ci/x changed; PRE_BUILD reads it: cat ci/x in ci/pre.sh (guessed)"},
		{guessed[2:], changed("a"), "0 guessed: a changed; BUILD may read every file: make (guessed)"},
		{guessed[:2], changed("a"), "2 guessed: a changed; INSTALL and PRE_BUILD do not name it (guessed)"},
		{guessed, changed("b", "ci/x", "a"),
			"1 guessed: ci/x and 2 other files changed; INSTALL does not name them (guessed)"},
		{guessed, []Change{{"b", Removed}}, "2 guessed: b was removed; INSTALL and PRE_BUILD do not name it (guessed)"},
		{said, changed("ci/deep/x"), "0 said: ci/deep/x changed; it is in the inputs of INSTALL (said)"},
		{said, changed("src/a.go"),
			"2 guessed: src/a.go changed; INSTALL and BUILD do not have it in the setting inputs (said)"},
		{seen, changed("src/a.go"), "1 seen: src/a.go changed; INSTALL did not open it (seen)"},
		{seen, changed("package.json"), "0 seen: package.json changed; INSTALL opened it (seen)"},
		{seen, added("top"), "0 seen: top was added; INSTALL listed its directory (seen)"},
		{seen, changed("top"), "2 seen: top changed; INSTALL and BUILD did not open it (seen)"},
		{seen, added("src/new/b.go"), "2 seen: src/new/b.go was added; INSTALL and BUILD did not open it (seen)"},
		// All files of src/new are new, so it is a new entry of src.
		{seen, added("src/new/b.go", "src/new/c.go"),
			"1 seen: src/new/b.go and 1 other file changed; INSTALL did not open them (seen)"},
		{seen, []Change{{"src/gone/x.go", Removed}}, "1 seen: src/gone/x.go was removed; INSTALL did not open it (seen)"},
		{mixed, changed("src/a.go"), "2 guessed: src/a.go changed; INSTALL did not open it (seen), " +
			"INSTALL does not have it in the setting inputs (said)"},
		{nil, changed("a"), "0 guessed: a changed; no phase has commands"},
	} {
		d := First(tt.phases, tt.changes, source)
		if got := fmt.Sprintf("%d %s: %s", d.Phase, d.Evidence, d.Reason); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestFirst_Limits(t *testing.T) {
	t.Parallel()
	deep := []string{}
	for i := range 20 {
		deep = append(deep, fmt.Sprintf("s%d.sh:sh s%d.sh", i, i+1))
	}
	for name, command := range map[string]string{
		"many commands": strings.Repeat("true\n", maxCalls+1), "long": "echo " + strings.Repeat("x", 1<<20),
		"scripts that run scripts": "sh s0.sh", "many names": "echo" + strings.Repeat(" x", maxNames+1),
	} {
		d := First([]Phase{{Name: "BUILD", Commands: []string{command}}}, changed("any"), sourceWith(deep...))
		if d.Phase != 0 || len(d.Reason) > 200 {
			t.Errorf("%s: %.300s", name, d.Reason)
		}
	}
}

// FuzzFirst holds that no command makes the guess fail, and that a phase which names nothing but the
// changed file is affected by it.
func FuzzFirst(f *testing.F) {
	for _, text := range []string{"npm ci", "cd a && cat $X/b", "sh -c 'x'", "docker build .", "a <<E\nx\nE", "pip -r",
		"python -c", "${", "cat ../../x", "find -exec", "mvn -s", "node -e 'a/b'", "npm run x", "\x00"} {
		f.Add(text, "src/a.go")
	}
	source := sourceWith("package.json:"+`{"scripts":{"x":"npm run x"}}`, "r.txt:-r r.txt", "a.sh:. a.sh")
	f.Fuzz(func(t *testing.T, command, file string) {
		phases := []Phase{{Name: "INSTALL", Commands: []string{"true"}}, {Name: "BUILD", Commands: []string{command}}}
		d := First(phases, changed(file), source)
		if d.Phase < 0 || d.Phase > 2 || d.Reason == "" || d.Evidence != Guessed {
			t.Errorf("%q: %+v", command, d)
		}
	})
}
