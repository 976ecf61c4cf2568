package lint

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// files follows the commands through the source, as far as it is known where
// they are, and tells look of the files they run.
type files struct {
	*checker
	say    func(f *files, run ranFile)
	script *script
	dir    string          // of the commands, below the source
	known  bool            // dir is known
	made   bool            // commands have brought files that nobody can know
	names  map[string]bool // words of commands so far
	modes  bool            // chmod was seen with a pattern or a directory
}

// ranFile is a file that a command runs.
type ranFile struct {
	arg     *syntax.Word
	name    string // below the source
	missing bool
	direct  bool // run by its name, not by an interpreter
	shell   bool // read by a shell
}

// files tells every file that the commands run.
func (c *checker) files(say func(*files, ranFile)) {
	if c.Source == nil || c.windows {
		return
	}
	f := &files{checker: c, say: say, dir: ".", known: true, names: map[string]bool{}}
	for _, s := range c.scripts {
		f.script = s
		if c.Spec.Version == "0.1" {
			f.dir, f.known = ".", true
		}
		if s.file == nil {
			f.known = false
			continue
		}
		for _, stmt := range s.file.Stmts {
			f.stmt(stmt)
		}
	}
}

func (f *files) stmt(stmt *syntax.Stmt) {
	for _, r := range stmt.Redirs {
		f.name(literal(r.Word))
	}
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		f.call(cmd)
	case *syntax.BinaryCmd:
		before := *f
		f.stmt(cmd.X)
		f.stmt(cmd.Y)
		if cmd.Op == syntax.Pipe || cmd.Op == syntax.PipeAll {
			f.dir, f.known = before.dir, before.known
		}
	case *syntax.Block:
		f.all(cmd.Stmts)
	case *syntax.Subshell:
		dir, known := f.dir, f.known
		f.all(cmd.Stmts)
		f.dir, f.known = dir, known
	case nil:
	default:
		f.unsure(cmd)
	}
}

func (f *files) all(stmts []*syntax.Stmt) {
	for _, stmt := range stmts {
		f.stmt(stmt)
	}
}

// unsure passes over what may or may not run, and forgets what it may change.
func (f *files) unsure(cmd syntax.Node) {
	syntax.Walk(cmd, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok && len(call.Args) > 0 {
			words := wordsOf(call)
			f.made = true
			f.know(words)
			if words[0] == "cd" || words[0] == "pushd" || words[0] == "popd" {
				f.known = false
			}
		}
		return true
	})
}

func (f *files) name(word string) {
	if word != "" {
		f.names[path.Base(word)] = true
	}
}

func (f *files) know(words []string) {
	for _, w := range words {
		f.name(w)
	}
}

// makes are programs that bring files nobody can know beforehand.
var makes = words("git curl wget aws tar unzip gunzip make cmake npm npx yarn pnpm mvn gradle pip pip3 go cargo docker sam cdk terraform eval source . bash sh python python3 node ruby perl rsync scp cp mv ln gh svn composer bundle dotnet jar 7z apt-get apt yum dnf apk")

func (f *files) call(call *syntax.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	words, args := wordsOf(call), call.Args
	for skip := len(words) - len(unwrapped(words)); skip > 0; skip-- {
		words, args = words[1:], args[1:]
	}
	switch program := words[0]; {
	case program == "cd" || program == "pushd":
		f.cd(args, words)
		return
	case program == "popd":
		f.known = false
		return
	case program == "chmod":
		f.chmod(args, words)
		return
	case interpreters[program]:
		f.interpreted(args, words)
	case strings.Contains(program, "/"):
		f.look(ranFile{arg: args[0], direct: true, shell: true}, program)
	}
	if makes[words[0]] || strings.Contains(words[0], "/") {
		f.made = true
	}
	f.know(words)
}

// home is how commands lead back to the top of the source.
var home = lazy(`^"?\$\{?CODEBUILD_SRC_DIR\}?"?(/|$)`)

func (f *files) cd(args []*syntax.Word, words []string) {
	if len(words) != 2 {
		f.known = false
		return
	}
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, args[1]); err != nil {
		f.known = false
		return
	}
	written := b.String()
	switch {
	case home().MatchString(written):
		f.dir, f.known = path.Clean("./"+strings.Trim(home().ReplaceAllString(written, ""), `"`)), true
	case words[1] == "" || path.IsAbs(words[1]) || words[1] == "-" || strings.HasPrefix(words[1], "~"):
		f.known = false
	default:
		f.dir = path.Join(f.dir, words[1])
	}
	if strings.HasPrefix(f.dir, "..") || !fs.ValidPath(f.dir) || strings.Contains(f.dir, "$") {
		f.known = false
	}
}

// chmod makes files executable; that they exist is looked at too.
func (f *files) chmod(args []*syntax.Word, words []string) {
	for i, w := range words[1:] {
		switch {
		case strings.HasPrefix(w, "-") && strings.Contains(w, "R"), strings.ContainsAny(w, "*?["), w == "":
			f.modes = true
		case strings.Contains(w, "/") || strings.Contains(w, "."):
			f.look(ranFile{arg: args[i+1]}, w)
			f.names["chmod "+path.Base(w)] = true
		}
	}
}

var interpreters = words("sh bash dash zsh python python3 node ruby perl source .")

// interpreted looks at the file that an interpreter is given.
func (f *files) interpreted(args []*syntax.Word, words []string) {
	for i, w := range words[1:] {
		switch {
		case strings.HasPrefix(w, "-"):
			if strings.Trim(w, "-euxo") == "" && w != "-" {
				continue
			}
			return
		case w == "pipefail":
			continue
		}
		shell := words[0] == "sh" || words[0] == "bash" || words[0] == "dash" || words[0] == "." || words[0] == "source"
		f.look(ranFile{arg: args[i+1], shell: shell}, w)
		return
	}
}

// look finds a file that a command names.
func (f *files) look(run ranFile, word string) {
	if word == "" || path.IsAbs(word) || !f.known || strings.ContainsAny(word, "$*?[~") {
		return
	}
	run.name = path.Join(f.dir, word)
	if !fs.ValidPath(run.name) {
		return
	}
	run.missing = !f.exists(run.name)
	f.say(f, run)
}

// scriptName is how files are named that people write.
var scriptName = lazy(`\.(sh|bash|py|js|mjs|cjs|ts|rb|pl|ps1)$`)

// missingFiles: a file may have been made by the commands before.
func (c *checker) missingFiles() {
	c.files(func(f *files, run ranFile) {
		if !run.missing || f.names[path.Base(run.name)] {
			return
		}
		meant := f.nearest(run.name)
		f.name(run.name)
		switch {
		case meant != "":
			c.sayOnce(c.node(f.script, run.arg), fmt.Sprintf("%s is not in the source; did you mean %q?", run.name, meant))
		case !f.made && scriptName().MatchString(run.name):
			c.sayOnce(c.node(f.script, run.arg), run.name+" is not in the source, and no command before makes it")
		}
	})
}

// nearest returns the path that a missing one is a slip of: one name in it is
// another, and what follows is there.
func (c *checker) nearest(name string) string {
	dir, parts := ".", strings.Split(name, "/")
	for i, part := range parts {
		if c.exists(path.Join(dir, part)) {
			dir = path.Join(dir, part)
			continue
		}
		meant := c.near(dir, part)
		whole := path.Join(append([]string{dir, meant}, parts[i+1:]...)...)
		if meant == "" || !c.exists(whole) {
			return ""
		}
		return whole
	}
	return ""
}

func (c *checker) notExecutable() {
	c.files(func(f *files, run ranFile) {
		if !run.direct || run.missing || !c.ExecBits || f.modes || f.names["chmod "+path.Base(run.name)] {
			return
		}
		info, err := fs.Stat(c.Source, run.name)
		if err == nil && !info.IsDir() && info.Mode()&0o111 == 0 {
			c.sayOnce(c.node(f.script, run.arg), fmt.Sprintf("%s may not be executed; expected the mode bit x on it: chmod +x %s, and in git: git update-index --chmod=+x %s", run.name, run.name, run.name))
		}
	})
}

// crlfScripts looks at the beginning of each script that a shell reads.
func (c *checker) crlfScripts() {
	c.files(func(f *files, run ranFile) {
		if run.missing || !run.shell {
			return
		}
		file, err := c.Source.Open(run.name)
		if err != nil {
			return
		}
		defer file.Close()
		head, err := io.ReadAll(io.LimitReader(file, 4<<10))
		if err == nil && bytes.Contains(head, []byte("\r\n")) && !bytes.Contains(head, []byte{0}) {
			c.sayOnce(c.node(f.script, run.arg), fmt.Sprintf("%s has the line ends of Windows, with which no shell on Linux runs it; expected line feeds only: sed -i 's/\\r$//' %s, and *.sh text eol=lf in .gitattributes", run.name, run.name))
		}
	})
}
