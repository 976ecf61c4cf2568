package runner

import "strings"

// hint is the advice for one kind of failure that people meet often.
type hint struct {
	exit  int      // exit status of the command; 0 for any failure
	parts []string // texts in the output, any of them; empty to match any output
	text  string   // in the form of all hints: lower case, no full stop, with the next step
}

// matches reports whether a failure is of this kind. Only the end of the output is
// searched: programs print the reason last.
func (h hint) matches(exit int, output string) bool {
	if h.exit != 0 && h.exit != exit {
		return false
	}
	for _, part := range h.parts {
		if strings.Contains(output, part) {
			return true
		}
	}
	return len(h.parts) == 0
}

// hints are in order of precedence: the first match counts. Messages that name the cause
// are before exit statuses, which only narrow it down: 126 is "cannot execute", 127 is "not
// found", and 128+N is the end by signal N (POSIX, "Exit Status for Commands"). The texts
// are those of dash, bash and busybox, of GNU and of Go programs, in English: builds rarely
// have another locale.
var hints = []hint{
	{0, []string{"exec format error", "Exec format error"},
		"the program is for another architecture than this image; build or download it for that of the image, " +
			"or set --platform"},
	// A carriage return is part of the interpreter's or the command's name.
	{0, []string{"\r: not found", "\r': command not found", "^M: bad interpreter", "$'\\r'", "\r': No such file",
		"sh\r: No such file", "sh\r: no such file"},
		"a script has Windows line endings (CRLF); add *.sh text eol=lf to .gitattributes, then git add --renormalize ."},
	{0, []string{"Cannot connect to the Docker daemon"},
		"docker needs --privileged here and privileged mode in the project; or use the host's Docker with --docker " +
			"socket; both require --engine docker"},
	{0, []string{"is already in use by container"},
		"container names are shared by all users of an engine, and with --docker socket those of other builds are not " +
			"visible; use a unique name, for example with $CODEBUILD_BUILD_NUMBER"},
	{127, []string{": docker: not found", "docker: command not found"},
		"the image has no docker command; install it, or use an image that has it, with --privileged or --docker socket"},
	// In CodeBuild sh is bash in some images and dash in others, as here.
	{0, []string{"[[: not found", "source: not found", "ad substitution", "Illegal option -o pipefail", "shopt: not found",
		"pushd: not found", "declare: not found", "let: not found", `Syntax error: "(" unexpected`,
		`Syntax error: "}" unexpected`, "Syntax error: redirection unexpected"},
		"this is bash syntax, and sh of the image is not bash; set shell: bash under env: in the buildspec"},
	{0, []string{"No space left on device", "no space left on device"},
		"the disk is full; builds write to the storage of Docker (docker system df), or without Docker to the temporary " +
			"directory (TMPDIR)"},
	// Overlay file systems return EXDEV for directories of lower layers (kernel
	// documentation, overlayfs, "Renaming directories").
	{0, []string{"ross-device link", "EXDEV"},
		"rename(2) cannot move a directory of the image or the source on an overlay; mv copes, because it copies; or run " +
			"as root without Docker"},
	// A user namespace has only the IDs that are mapped into it; others are EINVAL for chown,
	// and files of unmapped owners are EOVERFLOW.
	{0, []string{"changing ownership of", "cannot set groups"},
		"files can be given only to users that the environment has; without Docker that may be root alone: buildlocal " +
			"doctor shows them"},
	{0, []string{"Value too large for defined data type"},
		"the file belongs to a user or group that the environment does not have; without Docker, non-root users must own " +
			"the group of the source: chgrp -R"},
	{0, []string{"unable to apply cgroup configuration"},
		"the Docker engine of the build cannot create control groups; in a rootless engine that requires cgroup version 2"},
	{126, []string{"ermission denied"},
		"the file is not executable; chmod +x it, and commit that with git update-index --chmod=+x"},
	{127, []string{": ./", ": ../", "required file not found", "bad interpreter"},
		"the file does not exist, or the program in its first line (#!) is not in the image; Windows line endings (CRLF) " +
			"cause this too: eol=lf in .gitattributes"},
	{127, nil, "program not found; install it in the install phase, or use an image that has it"},
	{137, nil, "the command was killed, most often because memory ran out; give the engine more memory, or use less of " +
		"it in the command"},
	{139, nil, "the command crashed (segmentation fault), often because it was built for another system than the image's"},
}

// advice returns a hint for a failed command, or "". A wrong hint costs more time than no
// hint, so exit statuses that programs choose themselves have none.
func advice(exit int, output string) string {
	for _, h := range hints {
		if h.matches(exit, output) {
			return h.text
		}
	}
	return ""
}
