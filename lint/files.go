package lint

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// files follows the commands through the source directory and calls say for each file that
// they run. It keeps track of the working directory as long as that is certain. It errs on the side
// of silence: as soon as a command could have created or moved a file, files of that name are not
// reported.
type files struct {
	*checker
	say    func(f *files, run ranFile)
	script *script         // the command being followed
	dir    string          // working directory, relative to the source directory
	known  bool            // dir is certain
	made   bool            // earlier commands may have created any file
	names  map[string]bool // words of earlier commands: a file with such a name may have been created
	// chmod -R and patterns are not evaluated; afterwards any file may be executable.
	modes bool // chmod was called with a pattern or a directory
}

// ranFile is a file that a command runs or reads.
type ranFile struct {
	arg     *syntax.Word
	name    string // relative to the source directory
	missing bool   // not in the source
	direct  bool   // run by its name rather than by an interpreter
	shell   bool   // read by a shell
	given   bool   // value of an option: reported only if a similar name exists
}

// files calls say for each file that the commands run.
func (c *checker) files(say func(*files, ranFile)) {
	if c.Source == nil || c.windows {
		return
	}
	f := &files{checker: c, say: say, dir: ".", known: true, names: map[string]bool{}}
	for _, s := range c.scripts {
		f.script = s
		// In version 0.1 each command begins in the source directory (documented).
		if c.Spec.Version == "0.1" {
			f.dir, f.known = ".", true
		}
		// A script that could not be parsed may contain a cd.
		if s.file == nil {
			f.known = false
			continue
		}
		for _, stmt := range s.file.Stmts {
			f.stmt(stmt)
		}
	}
}

// stmt follows one statement.
func (f *files) stmt(stmt *syntax.Stmt) {
	// The target of a redirection is a new file.
	for _, r := range stmt.Redirs {
		f.name(literal(r.Word))
	}
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		f.call(cmd)
	case *syntax.BinaryCmd:
		f.both(cmd)
	case *syntax.Block:
		f.all(cmd.Stmts)
	// A subshell cannot change the directory of its parent, but it can create files.
	case *syntax.Subshell:
		dir, known := f.dir, f.known
		f.all(cmd.Stmts)
		f.dir, f.known = dir, known
	// A redirection without a command.
	case nil:
	default:
		f.unsure(cmd)
	}
}

// both follows a && b as if a succeeded. If the working directory depends on whether it
// does, the directory is uncertain afterwards. A pipeline runs its parts in subshells.
func (f *files) both(cmd *syntax.BinaryCmd) {
	dir, known := f.dir, f.known
	// After test -d x && cd x the directory depends on a file that may not exist.
	program, _ := name(cmd.X)
	if cmd.Op == syntax.OrStmt && changesDirectory(cmd) || (program == "test" || program == "[") &&
		changesDirectory(cmd.Y) {
		f.unsure(cmd)
		return
	}
	f.stmt(cmd.X)
	f.stmt(cmd.Y)
	if cmd.Op == syntax.Pipe || cmd.Op == syntax.PipeAll {
		f.dir, f.known = dir, known
	}
}

// changesDirectory reports whether cd or pushd is called anywhere in a node.
func changesDirectory(node syntax.Node) bool {
	changes := false
	syntax.Walk(node, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		changes = changes || ok && len(call.Args) > 0 && (call.Args[0].Lit() == "cd" || call.Args[0].Lit() == "pushd")
		return true
	})
	return changes
}

func (f *files) all(stmts []*syntax.Stmt) {
	for _, stmt := range stmts {
		f.stmt(stmt)
	}
}

// unsure skips code that may not run, and marks everything it could change as uncertain.
func (f *files) unsure(cmd syntax.Node) {
	syntax.Walk(cmd, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		words := wordsOf(call)
		f.made = true
		f.know(words)
		f.modes = f.modes || slices.Contains(words, "chmod")
		return true
	})
	f.known = f.known && !changesDirectory(cmd)
}

// name records a word of a command, which may be the name of a new file.
func (f *files) name(word string) {
	if word != "" {
		// git clone URL/name.git creates the directory name.
		f.names[strings.TrimSuffix(path.Base(word), ".git")] = true
	}
}

// know records the words of a command.
func (f *files) know(words []string) {
	for _, w := range words {
		f.name(w)
	}
}

// harmless are programs that create no files. fetches are programs that replace files of
// the source, after which nothing about it is certain.
var (
	harmless = words("echo printf export cd pushd popd set unset true : date env printenv pwd ls cat head tail grep " +
		"which command test [ chmod sleep whoami id uname node python python3 java aws")
	fetches = words("git svn hg")
)

// call follows a simple command.
func (f *files) call(call *syntax.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	words, args := wordsOf(call), call.Args
	// /usr/bin/python3 script.py runs a file of the source like python3.
	if base := path.Base(words[0]); path.IsAbs(words[0]) && interpreters[base] {
		words[0] = base
	}
	// The words and the arguments of the syntax tree must stay parallel, because problems point at an
	// argument.
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
	case strings.Contains(program, "/"), program == "":
		f.look(ranFile{arg: args[0], direct: true, shell: true}, program)
	default:
		f.named(args, words)
	}
	// For instance find . -name "*.sh" -exec chmod +x {} +.
	f.modes = f.modes || slices.Contains(words[1:], "chmod")
	// An interpreter that runs a script can create any file.
	f.made = f.made || !harmless[words[0]] || len(words) > 1 && interpreters[words[0]]
	// git checkout replaces the files of the source by those of another commit.
	switched := len(words) > 1 && slices.Contains([]string{"checkout", "submodule", "pull", "switch"}, words[1])
	f.known = f.known && !(fetches[words[0]] && switched)
	f.know(words)
}

// takers are programs with options whose value is a file in the source.
var (
	takers  = words("pip pip3 kubectl docker docker-compose aws sam cdk helm terraform")
	options = words("-r -f --requirement --file --template-file --template --filename --values -var-file")
)

// named checks files that a program gets as the value of an option.
func (f *files) named(args []*syntax.Word, words []string) {
	if !takers[words[0]] {
		return
	}
	for i, w := range words[:len(words)-1] {
		// A colon occurs in URLs and in volume mappings such as -v a:b, not in the paths that are meant.
		if options[w] && !strings.Contains(words[i+1], ":") {
			f.look(ranFile{arg: args[i+1], given: true}, words[i+1])
		}
	}
}

// home matches the source directory at the beginning of a path.
var home = lazy(`^"?\$\{?CODEBUILD_SRC_DIR\}?"?(/|$)`)

// cd follows a change of the working directory.
func (f *files) cd(args []*syntax.Word, words []string) {
	if len(words) != 2 {
		f.known = false
		return
	}
	// The variable of the source directory is known; any other one is not.
	written := textOf(args[1])
	switch {
	case home().MatchString(written):
		f.dir, f.known = path.Clean("./"+strings.Trim(home().ReplaceAllString(written, ""), `"`)), true
	// Other absolute directories are those of the image.
	case words[1] == "" || path.IsAbs(words[1]) || words[1] == "-" || strings.HasPrefix(words[1], "~"):
		f.known = false
	default:
		f.look(ranFile{arg: args[1], given: true}, words[1])
		f.dir = path.Join(f.dir, words[1])
	}
	// Above the source directory are files that are not known here.
	if strings.HasPrefix(f.dir, "..") || !fs.ValidPath(f.dir) || strings.Contains(f.dir, "$") {
		f.known = false
	}
}

// chmod records files that become executable, and checks that they exist.
func (f *files) chmod(args []*syntax.Word, words []string) {
	for i, w := range words[1:] {
		switch {
		case strings.HasPrefix(w, "-") && strings.Contains(w, "R"), strings.ContainsAny(w, "*?["), w == "":
			f.modes = true
		// The mode, such as +x or 755, has neither and is only recorded as a name, which does no harm.
		case strings.Contains(w, "/") || strings.Contains(w, "."):
			f.look(ranFile{arg: args[i+1]}, w)
			f.names["chmod "+path.Base(w)] = true
		default:
			f.names["chmod "+w] = true
		}
	}
}

// interpreters are programs that run a file of the source.
var interpreters = words("sh bash dash zsh python python3 node ruby perl source .")

// interpreted checks the file that an interpreter runs. Options other than those of set
// take arguments of their own, so the file is not looked for after them.
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
		// Only a shell fails for CRLF; Python and Node.js accept it.
		shell := words[0] == "sh" || words[0] == "bash" || words[0] == "dash" || words[0] == "." || words[0] == "source"
		f.look(ranFile{arg: args[i+1], shell: shell}, w)
		return
	}
}

// look resolves a file name in a command and reports it to say, if its location is certain.
func (f *files) look(run ranFile, word string) {
	dir := f.dir
	if written := textOf(run.arg); home().MatchString(written) {
		dir, word = ".", strings.Trim(home().ReplaceAllString(written, ""), `"`)
	} else if !f.known {
		return
	}
	// Words with expansions, patterns or quotes are not names yet.
	if word == "" || path.IsAbs(word) || strings.ContainsAny(word, "$*?[~\"'`") {
		return
	}
	run.name = path.Join(dir, word)
	if !fs.ValidPath(run.name) {
		return
	}
	run.missing = !f.exists(run.name)
	f.say(f, run)
}

// scriptName matches the names of hand-written scripts. A program without such an extension may be
// output of the build.
var scriptName = lazy(`\.(sh|bash|py|js|mjs|cjs|ts|rb|pl|ps1)$`)

// missingFiles reports files that are not in the source. Earlier commands may create a
// file, so a file without a similar name in the source is reported only if no command
// before it can create files.
func (c *checker) missingFiles() {
	c.files(func(f *files, run ranFile) {
		mentioned := func(part string) bool { return f.names[part] }
		// Any component counts: a directory that was mentioned may contain the file now.
		if !run.missing || slices.ContainsFunc(strings.Split(run.name, "/"), mentioned) {
			return
		}
		meant := f.nearest(run.name)
		// Further uses of the same missing file would only repeat the problem.
		f.name(run.name)
		switch {
		case meant != "":
			c.sayOnce(c.node(f.script, run.arg), run.name+" is not in the source", fmt.Sprintf("did you mean %q?", meant))
		// An empty directory is most likely a submodule that was not fetched.
		case !f.made && !run.given && scriptName().MatchString(run.name) && !f.isEmpty(path.Dir(run.name)):
			c.sayOnce(c.node(f.script, run.arg), run.name+" is not in the source, and no earlier command creates it",
				"add it to the source, or create it in an earlier command")
		}
	})
}

// isEmpty reports whether a directory is empty, as that of a submodule that was not
// fetched.
func (f *files) isEmpty(dir string) bool {
	entries, err := fs.ReadDir(f.Source, dir)
	return err == nil && len(entries) == 0
}

// nearest returns an existing path that differs from a missing one in a single, similar
// name, or "".
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

// notExecutable reports files that are run directly but lack the executable bit.
func (c *checker) notExecutable() {
	c.files(func(f *files, run ranFile) {
		// sh script.sh needs no permission to execute.
		if !run.direct || run.missing || !c.ExecBits || f.modes || f.names["chmod "+path.Base(run.name)] {
			return
		}
		info, err := fs.Stat(c.Source, run.name)
		if err == nil && !info.IsDir() && info.Mode()&0o111 == 0 {
			c.sayOnce(c.node(f.script, run.arg), run.name+" is not executable",
				fmt.Sprintf("run chmod +x %s, and git update-index --chmod=+x %s for git", run.name, run.name))
		}
	})
}

// crlfScripts reports scripts with CRLF line endings that a shell reads. The first few
// kilobytes are enough to know.
func (c *checker) crlfScripts() {
	if c.fixesLineEndings() {
		return
	}
	c.files(func(f *files, run ranFile) {
		if run.missing || !run.shell {
			return
		}
		info, err := fs.Stat(c.Source, run.name)
		if err != nil || !info.Mode().IsRegular() { // opening a named pipe would block
			return
		}
		file, err := c.Source.Open(run.name)
		if err != nil {
			return
		}
		defer file.Close()
		head, err := io.ReadAll(io.LimitReader(file, 4<<10))
		// A NUL byte means that the file is binary, in which \r\n has no meaning.
		if err == nil && bytes.Contains(head, []byte("\r\n")) && !bytes.Contains(head, []byte{0}) {
			c.sayOnce(c.node(f.script, run.arg), run.name+" has CRLF line endings, which a shell on Linux cannot read",
				fmt.Sprintf("run sed -i 's/\\r$//' %s, and add *.sh text eol=lf to .gitattributes", run.name))
		}
	})
}

// fixesLineEndings reports whether git converts line endings, by an attribute, or a
// command does.
func (c *checker) fixesLineEndings() bool {
	if c.Source != nil {
		// eol=lf normalizes the files on checkout, so CodeBuild gets them without CRLF whatever the local
		// files have.
		var attributes []byte
		info, err := fs.Stat(c.Source, ".gitattributes")
		if err == nil && info.Mode().IsRegular() {
			attributes, err = fs.ReadFile(c.Source, ".gitattributes")
		}
		if err == nil && bytes.Contains(attributes, []byte("eol=lf")) {
			return true
		}
	}
	return slices.ContainsFunc(c.scripts, func(s *script) bool {
		return strings.Contains(s.Text, "dos2unix") || strings.Contains(s.Text, `\r`)
	})
}
