package lint

import (
	"io/fs"
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// effects are the variables that a command may set.
type effects struct {
	sets    map[string]bool
	unknown bool // it may set any variable
}

// assigned matches the assignments in a text that cannot be parsed.
var assigned = lazy(`\b([A-Za-z_][A-Za-z0-9_]*)=`)

// dynamic matches commands whose effect on variables depends on more than their text.
var dynamic = lazy(`(?m)(^|[;&|(\s])(eval|source|\.)\s`)

// effectsOf returns the effects of a command. They include those of files that it reads with
// source.
func effectsOf(c *checker, s *script) effects {
	e := effects{sets: map[string]bool{}}
	if s.file == nil {
		for _, m := range assigned().FindAllStringSubmatch(s.Text, -1) {
			e.sets[m[1]] = true
		}
		e.unknown = dynamic().MatchString(s.Text)
		return e
	}
	e.in(c, s.file, maxSourced)
	return e
}

// The limits of files that commands read with source: how deep they are nested, and their size in
// bytes.
const (
	maxSourced     = 3
	maxSourcedSize = 64 << 10
)

// in adds the effects of a parsed script. depth is the number of files that may be nested.
func (e *effects) in(c *checker, file *syntax.File, depth int) {
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			e.assign(n)
		case *syntax.DeclClause:
			e.declare(n)
		case *syntax.WordIter: // of for and select
			e.sets[n.Name.Value] = true
		case *syntax.ParamExp:
			if n.Param != nil && n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
				e.sets[n.Param.Value] = true
			}
		case *syntax.ArithmCmd, *syntax.ArithmExp, *syntax.LetClause, *syntax.CStyleLoop:
			e.arithmetic(n)
		case *syntax.CallExpr:
			e.call(c, n, depth)
		}
		return true
	})
}

// assign adds an assignment. A name without a value, as in export NAME, is not one.
func (e *effects) assign(a *syntax.Assign) {
	if a.Name != nil && !a.Naked {
		e.sets[a.Name.Value] = true
	}
}

// declare adds the variables of export, local and similar commands. A word that the shell expands
// can be an assignment to any variable: export $(cat .env).
func (e *effects) declare(d *syntax.DeclClause) {
	exports := d.Variant.Value == "export" || d.Variant.Value == "readonly"
	for _, a := range d.Args {
		switch {
		case a.Name != nil && !exports: // local NAME says that the empty value is meant
			e.sets[a.Name.Value] = true
		case a.Name == nil && a.Value != nil && literal(a.Value) == "":
			e.unknown = true
		case a.Name == nil && a.Value != nil: // a quoted assignment: export "NAME=value"
			e.word(a.Value)
		}
	}
}

// word adds the variable of a quoted assignment, whose name is certain.
func (e *effects) word(w *syntax.Word) {
	if name, _, found := strings.Cut(literal(w), "="); found && isName(name) {
		e.sets[name] = true
	}
}

// arithmetic adds all names in an expression. Unset variables are 0 there.
func (e *effects) arithmetic(node syntax.Node) {
	syntax.Walk(node, func(n syntax.Node) bool {
		if lit, ok := n.(*syntax.Lit); ok && isName(lit.Value) {
			e.sets[lit.Value] = true
		}
		return true
	})
}

// setters are builtins that assign to the variables that they get as arguments.
var setters = words("read mapfile readarray getopts unset")

// call adds the effects of a simple command.
func (e *effects) call(c *checker, call *syntax.CallExpr, depth int) {
	words := wordsOf(call)
	if len(words) == 0 {
		return
	}
	switch {
	case setters[words[0]], words[0] == "printf" && len(words) > 1 && words[1] == "-v":
		for i, w := range words[1:] {
			// read "$NAME" assigns to a variable that is not known.
			e.unknown = e.unknown || w == "" && words[0] == "read" && isExpanded(call.Args[i+1])
			if isName(w) {
				e.sets[w] = true
			}
		}
	case words[0] == "eval":
		e.unknown = e.unknown || !harmlessEval().MatchString(textOf(call))
	case words[0] == "." || words[0] == "source":
		e.source(c, call, words, depth)
	}
}

// isExpanded reports whether the shell expands a word, whose literal value is empty.
func isExpanded(w *syntax.Word) bool { return textOf(w) != `""` && textOf(w) != "''" }

// harmlessEval matches calls of eval that set only variables of their own.
var harmlessEval = lazy(`ssh-agent|ecr get-login|(pyenv|rbenv|nodenv|goenv|jenv|fnm|brew|direnv) `)

// wellKnown matches files that set only variables of tools.
var wellKnown = lazy(`(^|/)(nvm\.sh|\.bashrc|\.bash_profile|\.profile|\.zshrc|sdkman-init\.sh|rvm|` +
	`bin/activate|\.cargo/env|conda\.sh|asdf\.sh|\.asdf/.*|bash_completion)"?$`)

// source adds the effects of a file that the shell reads. Those of a file that cannot be read
// here are unknown.
func (e *effects) source(c *checker, call *syntax.CallExpr, words []string, depth int) {
	if len(words) < 2 || wellKnown().MatchString(textOf(call.Args[1])) {
		return
	}
	name := words[1]
	if written := textOf(call.Args[1]); home().MatchString(written) {
		name = strings.Trim(home().ReplaceAllString(written, ""), `"`)
	}
	name = path.Clean(name)
	if depth == 0 || c.Source == nil || name == "" || !fs.ValidPath(name) || strings.ContainsAny(name, "$`") {
		e.unknown = true
		return
	}
	text, ok := readSourced(c.Source, name)
	if !ok {
		e.unknown = true
		return
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil || tooLong(text) {
		e.unknown = true
		return
	}
	e.in(c, file, depth-1)
}

// readSourced returns the content of a file in the source, if it is a regular file of moderate
// size.
func readSourced(source fs.FS, name string) (string, bool) {
	info, err := fs.Stat(source, name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxSourcedSize {
		return "", false
	}
	text, err := fs.ReadFile(source, name)
	return string(text), err == nil
}

// testedBy returns the variables that a command tests: in [ ], [[ ]] or case.
func testedBy(s *script) map[string]bool {
	tested := map[string]bool{}
	add := func(node syntax.Node) {
		syntax.Walk(node, func(n syntax.Node) bool {
			if exp, ok := n.(*syntax.ParamExp); ok && exp.Param != nil {
				tested[exp.Param.Value] = true
			}
			return true
		})
	}
	s.walk(func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.TestClause:
			add(n)
		case *syntax.CaseClause:
			add(n.Word)
		case *syntax.CallExpr:
			if len(n.Args) > 0 && (n.Args[0].Lit() == "[" || n.Args[0].Lit() == "test") {
				add(n)
			}
		}
		return true
	})
	return tested
}

// isName reports whether a text is the name of a variable, and not a number or a special
// parameter.
func isName(text string) bool { return variableName().MatchString(text) }

var variableName = lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)

// usual are variables of shells, of Linux and of CodeBuild that builds usually have.
var usual = words("HOME PATH PWD OLDPWD USER LOGNAME SHELL HOSTNAME LANG LANGUAGE TERM TMPDIR TMP TEMP TZ " +
	"MAIL EDITOR " +
	"UID EUID GID PPID RANDOM SRANDOM SECONDS LINENO IFS OPTARG OPTIND OPTERR FUNCNAME PIPESTATUS DIRSTACK GROUPS " +
	"HOSTTYPE MACHTYPE OSTYPE REPLY SHLVL COLUMNS LINES MAPFILE EPOCHSECONDS EPOCHREALTIME SHELLOPTS COPROC " +
	"PS1 PS2 PS3 PS4 _ ENV DISPLAY PAGER SUDO_USER " +
	"LD_LIBRARY_PATH LD_PRELOAD LIBRARY_PATH CPATH CFLAGS CXXFLAGS CPPFLAGS LDFLAGS MAKEFLAGS PKG_CONFIG_PATH MANPATH " +
	"CLASSPATH PYTHONPATH NODE_PATH NODE_OPTIONS PERL5LIB RUBYLIB GOPATH GOROOT GOBIN GOFLAGS GOPROXY " +
	"JAVA_OPTS JAVA_TOOL_OPTIONS MAVEN_OPTS GRADLE_OPTS SBT_OPTS JAVA_PATH VIRTUAL_ENV CONDA_PREFIX NVM_DIR NVM_BIN " +
	"SSH_AUTH_SOCK SSH_AGENT_PID DOCKER_HOST DOCKER_CONFIG " +
	"AWS_REGION AWS_DEFAULT_REGION AWS_EXECUTION_ENV AWS_CONTAINER_CREDENTIALS_RELATIVE_URI " +
	"AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_AUTHORIZATION_TOKEN ECS_CONTAINER_METADATA_URI " +
	"ECS_CONTAINER_METADATA_URI_V4 " +
	"SSL_CERT_FILE CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT REQUESTS_CA_BUNDLE AWS_CA_BUNDLE NODE_EXTRA_CA_CERTS")

// usualForm matches groups of such variables. Images set the versions and the directories of the
// tools that they have.
var usualForm = lazy(`(?i)^(CODEBUILD_.*|BASH.*|LC_.*|XDG_.*|HIST.*|COMP_.*|(HTTPS?|FTP|NO|ALL)_PROXY|.*_HOME|` +
	`(JAVA|JDK|JRE|NODE|NPM|YARN|PYTHON|PYENV|PIP|RUBY|RBENV|GEM|GO|GOLANG|GOENV|PHP|` +
	`PHPENV|DOTNET|DOCKER|COMPOSE|MAVEN|GRADLE|ANT|SBT|ANDROID|DIND|STUNNEL|GIT|CHROME|N)(_[A-Z0-9]+)*_` +
	`(VERSION|ROOT|DIR|PATH|TOOLS))$`)

// isUsual reports whether a variable is one that builds usually have.
func isUsual(name string) bool { return usual[name] || usualForm().MatchString(name) }
