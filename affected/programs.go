package affected

import (
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/buildlocal/buildlocal/lint"
)

// words returns a set of the words in a text.
func words(text string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(text) {
		all[w] = true
	}
	return all
}

var shells = words("sh bash dash ash zsh ksh source .")

// limited are programs that read no files of the source but those that their words name: builtins,
// tools for text and files, installers of packages of the system, and clients of services. All other
// programs may read every file, as compilers and tests do.
var limited = words(`
: [ [[ test echo printf true false exit return export set unset shift local declare typeset readonly read let
trap wait umask ulimit alias unalias type hash which command builtin getopts shopt enable jobs kill pkill killall
pwd date sleep whoami id groups uname hostname nproc arch printenv locale tty stty clear history yes seq
cat head tail cut tr sort uniq wc tee sed awk gawk grep egrep fgrep jq yq xmllint envsubst diff cmp comm paste
md5sum sha1sum sha256sum sha512sum base64 xxd od openssl gpg basename dirname realpath readlink stat file expr bc
mkdir rmdir touch rm cp mv ln chmod chown chgrp install mktemp truncate dd find ls tree du df tar gzip gunzip
zip unzip bzip2 xz zstd rsync
apt-get apt apt-key add-apt-repository dpkg dpkg-query yum dnf microdnf rpm apk zypper pacman brew snap
amazon-linux-extras
update-alternatives alternatives useradd usermod groupadd adduser su service systemctl mount sysctl free ps top uptime
curl wget ssh-keyscan ssh-keygen ssh-add ssh-agent nc ping dig nslookup host ip
aws ecr-login kubectl helm gh docker-credential-ecr-login aws-iam-authenticator eksctl ssm codebuild-breakpoint
gem rbenv n sdk gpg-agent dockerd dockerd-entrypoint.sh timeout nohup
husky simple-git-hooks lefthook is-ci ngcc opencollective-postinstall start-stop-daemon
`)

// call follows a command.
func (g *guesser) call(command []string) {
	command = lint.Unwrapped(command)
	if len(command) == 0 || len(command[0]) == 0 {
		return
	}
	program, args := command[0], command[1:]
	switch {
	case program == "cd" || program == "pushd" || program == "popd":
	case g.functions[program]:
		g.nameAll(command)
	case strings.Contains(program, lint.Expanded):
		g.everything(command)
	case shells[program]:
		g.shell(command)
	case strings.Contains(program, "/"):
		g.local(command)
	case program == "eval" || program == "xargs" || program == "npx" || program == "dotenv":
		g.call(withoutOptions(args))
	case limited[program]:
		g.named(command)
	case g.special(command):
	default:
		g.everything(command)
	}
}

// named is a command that reads the files it names. A name of which nothing is known can be any file
// if the program does nothing but read.
func (g *guesser) named(command []string) {
	read := sourcesOf(command)
	if contents[command[0]] && slices.ContainsFunc(read, isUnknown) {
		g.everything(command)
	}
	for _, w := range read {
		if w != "." && w != "./" || !entries[command[0]] {
			g.name(w, command)
		}
	}
}

var (
	// contents are programs that do nothing but read the files they name.
	contents = words("cat head tail tar zip find cp mv ln rsync install")
	// entries are programs that may name the source directory without reading the files in it.
	entries = words("ls mkdir rmdir rm touch chmod chown chgrp echo printf stat du df tree test [ git")
	moves   = words("cp mv ln rsync install") // the last word is the destination
	// intos are options whose value is a destination.
	intos = map[string]map[string]bool{
		"tar": words("-C --directory"), "unzip": words("-d"), "curl": words("-o --output"), "wget": words("-O -P"),
	}
)

// sourcesOf returns the words of a command without its destination.
func sourcesOf(command []string) []string {
	var all []string
	for i, w := range command[1:] {
		isLast := i+2 == len(command)
		if !(moves[command[0]] && isLast) && !intos[command[0]][command[i]] {
			all = append(all, w)
		}
	}
	return all
}

// shell is a command that runs a script with a shell.
func (g *guesser) shell(command []string) {
	for i, w := range command[1:] {
		rest := command[i+2:]
		switch {
		case strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.Contains(w, "c") && len(rest) > 0:
			g.inline(rest[0], command)
			g.nameAll(command)
			return
		case strings.HasPrefix(w, "-") || strings.HasPrefix(w, "+"):
		case w == "pipefail" || w == "errexit": // the value of -o
		default:
			g.nameAll(command[i+1:])
			if !g.file(w, command) && !isInstaller(w) {
				g.everything(command)
			}
			return
		}
	}
	// It reads standard input, such as the output of curl.
}

// inline is a script in a word of a command.
func (g *guesser) inline(text string, command []string) {
	if strings.Contains(text, lint.Expanded) {
		text = strings.ReplaceAll(text, lint.Expanded, "$UNKNOWN")
	}
	g.within = append(g.within, "a script of "+command[0])
	defer func() { g.within = g.within[:len(g.within)-1] }()
	g.script(text)
}

// local is a command that runs a file by its path.
func (g *guesser) local(command []string) {
	base := path.Base(command[0])
	switch {
	// Wrappers of build tools, such as ./gradlew, are known by their names.
	case g.special(append([]string{base}, command[1:]...)):
		g.name(command[0], command)
	case g.file(command[0], command):
		g.nameAll(command)
	case isInstaller(command[0]):
		g.nameAll(command)
	case strings.HasPrefix(command[0], "node_modules/.bin/"), strings.HasPrefix(command[0], "./node_modules/.bin/"):
		g.call(append([]string{base}, command[1:]...))
	default:
		g.everything(command)
	}
}

// isInstaller reports whether a program that is not part of the source is named like an installer, such
// as ./aws/install. These do not read the source.
func isInstaller(word string) bool {
	base := strings.TrimSuffix(path.Base(word), path.Ext(word))
	return strings.HasPrefix(base, "install") || strings.HasPrefix(base, "get-") || base == "rustup-init"
}

// withoutOptions returns the words of a command after the options before it.
func withoutOptions(args []string) []string {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		args = args[1:]
	}
	return args
}

// special handles the programs with rules of their own. It returns false for an unknown program.
func (g *guesser) special(command []string) bool {
	program := command[0]
	if m, is := managers()[strings.TrimSuffix(program, ".cmd")]; is {
		g.manager(m, command)
		return true
	}
	switch program {
	case "npm", "pnpm", "yarn", "bun":
		g.node(command)
	case "pip", "pip3", "pipx":
		g.pip(command)
	case "python", "python3", "node", "ruby", "perl", "php", "deno":
		g.interpreter(command)
	case "java", "javac", "sam", "cdk", "serverless", "sls", "terraform", "tsc":
		g.versionOr(command)
	case "docker", "podman", "buildah", "docker-compose":
		g.docker(command)
	case "git":
		g.git(command)
	default:
		return false
	}
	return true
}

// versionOr is a program that reads every file, unless it only prints its version.
func (g *guesser) versionOr(command []string) {
	if !printsVersion(command) {
		g.everything(command)
	}
}

// printsVersion reports whether a program prints its version or its help.
func printsVersion(command []string) bool {
	return len(command) == 2 && words("--version -version -v -V version --help -h")[command[1]]
}

// inlines are options whose value is code.
var inlines = words("-c -e -p -pe -r -ne -print --eval --print")

// interpreter is a program that runs a script in another language. A script may read every file; code
// in the command line, such as node -p 'require("./package.json").version', reads the files it names.
func (g *guesser) interpreter(command []string) {
	if len(command) > 2 && command[1] == "-m" {
		switch command[2] {
		case "pip":
			g.pip(command[2:])
			return
		case "venv", "virtualenv", "ensurepip":
			return
		}
	}
	inline := slices.IndexFunc(command, func(w string) bool { return inlines[w] })
	if inline < 1 || inline+1 >= len(command) {
		g.versionOr(command)
		return
	}
	noName := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-/*@+", r)
	}
	for _, w := range strings.FieldsFunc(command[inline+1], noName) {
		if w != "." && w != "*" && w != "/" { // operators
			g.name(w, command)
			g.name(w+".{js,json,cjs,py,rb,php}", command)
		}
	}
	g.nameAll(command[inline+1:])
}

// dockerNone are commands of a container engine that read only the files they name.
var dockerNone = words("login logout pull push tag version info images ps inspect network volume rm rmi stop kill " +
	"start system load save logs manifest wait history search")

// docker is a command of a container engine. A build reads its context.
func (g *guesser) docker(command []string) {
	sub, rest := subcommand(command[1:])
	if sub == "buildx" || sub == "image" || sub == "container" {
		sub, rest = subcommand(rest)
	}
	// The directory of the context is one of the words.
	isBuild, runs := sub == "build" || sub == "bud", sub == "run" || sub == "create" || sub == "exec"
	mounts := func(w string) bool {
		return strings.HasPrefix(w, "-v") || strings.HasPrefix(w, "--volume") || strings.HasPrefix(w, "--mount")
	}
	switch {
	case command[0] != "docker-compose" && dockerNone[sub], printsVersion(command):
	case isBuild && !slices.ContainsFunc(rest, isUnknown), runs && !slices.ContainsFunc(rest, mounts):
	default:
		g.everything(command)
	}
	g.nameAll(without(command, sub))
}

// readsCommit are the commands of git whose output depends on the commit, the branch or the tags.
var readsCommit = words("archive branch cat-file describe diff for-each-ref log ls-tree merge-base name-rev reflog" +
	" rev-list rev-parse shortlog show show-ref status symbolic-ref tag")

// git is a command of git. The files of the repository itself are no source files.
func (g *guesser) git(command []string) {
	sub, _ := subcommand(command[1:])
	if words("status diff ls-files add commit archive stash grep clean checkout-index")[sub] {
		g.everything(command)
	}
	if readsCommit[sub] && g.commit == "" {
		g.commit = g.describe(command)
	}
	if sub == "submodule" {
		g.add(".gitmodules", command)
	}
	g.nameAll(without(command, sub))
}

// subcommand returns the first word that is no option, and the words after it.
func subcommand(args []string) (string, []string) {
	for i, w := range args {
		if !strings.HasPrefix(w, "-") && (i == 0 || !valued[args[i-1]]) {
			return w, args[i+1:]
		}
	}
	return "", nil
}

// without returns a command without its subcommand, which is no file, and without the directory in
// which it runs.
func without(command []string, sub string) []string {
	all := command[:1:1]
	for i, w := range command[1:] {
		if w != sub && !inDir[command[i]] {
			all = append(all, w)
		}
	}
	return all
}

var inDir = words("-C --prefix --cwd --dir --directory")

// valued are options before a subcommand whose value is the next word.
var valued = words("-C -s -f -gs -pl -P -T -p -c --prefix --cwd --dir --directory --settings --file --config " +
	"--registry --context --project --filter -F --workspace -w")

// operands returns the words that are no options, and no values of them.
func operands(args []string) []string {
	var all []string
	for rest := args; ; {
		var word string
		if word, rest = subcommand(rest); word == "" {
			return all
		}
		all = append(all, word)
	}
}
