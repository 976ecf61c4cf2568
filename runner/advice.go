package runner

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// hint is the advice for one kind of failure that people meet often.
type hint struct {
	exit  int      // exit status of the command; 0 for any failure
	parts []string // texts in the output, any of them; empty to match any output
	text  string   // in the form of all hints: lower case, no full stop, with the next step
	check string   // name of the check whose lint gives the same advice; may be empty
	// applies reports whether the hint is true for a build; nil for every build.
	applies func(*Plan) bool
}

// match reports whether a failure is of this kind, and which of the parts the output has. Only the
// end of the output is searched: programs print the reason last.
func (h hint) match(exit int, output string) (part string, matches bool) {
	if h.exit != 0 && h.exit != exit {
		return "", false
	}
	for _, part := range h.parts {
		if strings.Contains(output, part) {
			return part, true
		}
	}
	return "", len(h.parts) == 0
}

// missingProgram is the hint of exit status 127, which says that a program was not found.
const missingProgram = "program not found; install it in the install phase, or use an image that has it"

// hints are in order of precedence: the first match counts. Messages that name the cause
// are before exit statuses, which only narrow it down: 126 is "cannot execute", 127 is "not
// found", and 128+N is the end by signal N (POSIX, "Exit Status for Commands"). The texts
// are those of dash, bash and busybox, of GNU and of Go programs, in English: builds rarely
// have another locale.
var hints = []hint{
	{parts: []string{"exec format error", "Exec format error"},
		text: "the program is for another architecture than this image; build or download it for that of " +
			"the image, or set --platform"},
	// A carriage return is part of the interpreter's or the command's name.
	{
		check: diag.CRLFScript,
		parts: []string{
			"\r: not found",
			"\r': command not found",
			"^M: bad interpreter",
			"$'\\r'",
			"\r': No such file",
			"sh\r: No such file",
			"sh\r: no such file",
		},
		text: "a script has Windows line endings (CRLF); add *.sh text eol=lf to .gitattributes, then git " +
			"add --renormalize .",
	},
	{check: diag.NotPrivileged, parts: []string{"Cannot connect to the Docker daemon"},
		text: "docker needs --privileged here and privileged mode in the project; or use the host's Docker " +
			"with --docker socket; both require --engine docker"},
	{parts: []string{"Unable to locate credentials", "NoCredentialProviders", "no EC2 IMDS role found",
		"Could not load credentials from any providers", "Unable to load credentials from any of the providers"},
		text: "the build has no AWS credentials: --aws-credentials gives it yours, with --profile NAME " +
			"those of a profile",
		applies: withoutCredentials},
	{parts: []string{"is already in use by container"},
		text: "container names are shared by all users of an engine, and with --docker socket those of " +
			"other builds are not visible; use a unique name, for example with $CODEBUILD_BUILD_NUMBER"},
	{exit: 127, parts: []string{": docker: not found", "docker: command not found"},
		text: "the image has no docker command; install it, or use an image that has it, with --privileged " +
			"or --docker socket"},
	// In CodeBuild sh is bash in some images and dash in others, as here.
	{check: diag.BashSyntax,
		parts: []string{
			"[[: not found",
			"source: not found",
			"ad substitution",
			"Illegal option -o pipefail",
			"shopt: not found",
			"pushd: not found",
			"declare: not found",
			"let: not found",
			`Syntax error: "(" unexpected`,
			`Syntax error: "}" unexpected`,
			"Syntax error: redirection unexpected",
		},
		text: "this is bash syntax, and sh is not bash here; set shell: bash under env: in the " +
			"buildspec",
	},
	{parts: []string{"No space left on device", "no space left on device"},
		text: "the disk is full; builds write to the storage of Docker (docker system df), or without " +
			"Docker to the temporary directory (TMPDIR)"},
	// Overlay file systems return EXDEV for directories of lower layers (kernel
	// documentation, overlayfs, "Renaming directories").
	{parts: []string{"ross-device link", "EXDEV"},
		text: "rename(2) cannot move a directory of the image or the source on an overlay; mv copes, " +
			"because it copies; or run as root without Docker"},
	// A user namespace has only the IDs that are mapped into it; others are EINVAL for chown,
	// and files of unmapped owners are EOVERFLOW.
	{parts: []string{"changing ownership of", "cannot set groups"},
		text: "files can be given only to users that the environment has; without Docker that may be root " +
			"alone: buildlocal doctor shows them"},
	{parts: []string{"Value too large for defined data type"},
		text: "the file belongs to a user or group that the environment does not have; without Docker, " +
			"non-root users must own the group of the source: chgrp -R"},
	{parts: []string{"unable to apply cgroup configuration"},
		text: "the Docker engine of the build cannot create control groups; in a rootless engine that " +
			"requires cgroup version 2"},
	{check: diag.NotExecutable, exit: 126, parts: []string{"ermission denied"},
		text: "the file is not executable; chmod +x it, and commit that with git update-index --chmod=+x"},
	{check: diag.MissingFile, exit: 127, parts: []string{": ./", ": ../", "required file not found", "bad interpreter"},
		text: "the file does not exist, or the program in its first line (#!) is not in the image; Windows " +
			"line endings (CRLF) cause this too: eol=lf in .gitattributes"},
	{exit: 127, text: missingProgram},
	{exit: 137, text: "the command was killed, most often because memory ran out; give the engine more memory, or " +
		"use less of it in the command"},
	{exit: 139, text: "the command crashed (segmentation fault), often because it was built for another system " +
		"than the image's"},
}

// meanings are exit statuses that shells and common programs use alike (POSIX, "Exit Status for
// Commands", and timeout of GNU).
var meanings = map[int]string{
	1:   "the general status for a failure; the output has the reason",
	124: "timeout ended the command",
	126: "the shell found the program, but could not execute it",
	127: "the shell did not find the program",
	129: "the command was ended by a hangup (SIGHUP)",
	130: "the command was interrupted (SIGINT)",
	132: "the processor does not know an instruction of the program (SIGILL)",
	134: "the command aborted, as after a failed assertion (SIGABRT)",
	136: "an arithmetic error, such as a division by zero (SIGFPE)",
	137: "the command was killed (SIGKILL), most often because memory ran out",
	139: "the command crashed: segmentation fault (SIGSEGV)",
	141: "the reader of the command's output had gone (SIGPIPE)",
	143: "the command was asked to end (SIGTERM)",
}

// ExitMeaning returns the meaning of an exit status, or "" for one that programs choose themselves.
func ExitMeaning(exit int) string { return meanings[exit] }

// withoutCredentials reports whether a build has no AWS credentials.
func withoutCredentials(p *Plan) bool { return p != nil && p.Grant == "" }

// maxCause is the width of a cause, in characters. It is behind the carets.
const maxCause = 70

// advice returns the cause of a failed command, as its output has it, and a hint. Both may be
// empty: a wrong hint costs more time than no hint, so exit statuses that programs choose
// themselves have none. The hint is left out if it is that of a lint which is shown too. known
// reports whether the output says why the command failed.
func advice(exit int, output string, p *Plan, shown diag.List) (cause, text string, known bool) {
	for _, h := range hints {
		if part, matches := h.match(exit, output); matches && (h.applies == nil || h.applies(p)) {
			cause = lineWith(output, part)
			if slices.ContainsFunc(shown, func(p diag.Problem) bool { return p.Name == h.check }) {
				return cause, "", true
			}
			if h.text != missingProgram {
				return cause, h.text, part != ""
			}
			if name := missing(output); name != "" {
				return name + ": not found", "install " + name + " in the install phase, or use an image that has it", true
			}
			if len(shown) > 0 { // which are about this command, and know more
				return cause, "", false
			}
			return cause, h.text, false
		}
	}
	return "", "", false
}

// lineWith returns the last line of the output with a text, without the place in the script that
// shells put before their messages.
func lineWith(output, part string) string {
	at := strings.LastIndex(output, part)
	if at < 0 || part == "" {
		return ""
	}
	begin := strings.LastIndexByte(output[:at], '\n') + 1
	line, _, _ := strings.Cut(output[begin:], "\n")
	line = strings.TrimSpace(shellPlace().ReplaceAllString(lastState(line), ""))
	if runes := []rune(line); len(runes) > maxCause {
		return ""
	}
	return line
}

// lastState returns the end of a line that was redrawn with carriage returns, without colors.
func lastState(line string) string {
	line = strings.TrimRight(line, "\r")
	return string(diag.Plain([]byte(line[strings.LastIndexByte(line, '\r')+1:])))
}

// shellPlace matches what shells print before a message, such as "/codebuild/.../script.sh: line 4: ".
var shellPlace = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\S*?[\w./-]*: (line )?\d+: `)
})

// notFound matches the message of a shell about a program that does not exist (dash, bash, busybox).
var notFound = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)(?:^|[:\s])([\w.+-]+): (?:command )?not found\r?$`)
})

// missing returns the name of the program that a shell did not find, or "".
func missing(output string) string {
	all := notFound().FindAllStringSubmatch(output, -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][1]
}
