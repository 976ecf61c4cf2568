package console

import "strings"

// hint is one line for a classic among failures.
type hint struct {
	exit  int      // exit status; 0 for any failure
	parts []string // texts in the output, any of them; empty to match any output
	text  string
}

// fits reports whether a failure is this classic. Printed is the last of what
// the command printed.
func (h hint) fits(exit int, printed string) bool {
	if h.exit != 0 && h.exit != exit {
		return false
	}
	for _, part := range h.parts {
		if strings.Contains(printed, part) {
			return true
		}
	}
	return len(h.parts) == 0
}

// hints are looked through from the top.
var hints = []hint{
	{0, []string{"exec format error", "Exec format error"},
		"A program is for another architecture than this image: build or download it for the image's, or choose --platform."},
	{0, []string{"\r: not found", "\r': command not found", "^M: bad interpreter", "$'\\r'", "\r': No such file",
		"sh\r: No such file", "sh\r: no such file"},
		"A script has Windows line ends (CRLF): *.sh text eol=lf in .gitattributes and git add --renormalize fix it."},
	{0, []string{"Cannot connect to the Docker daemon"},
		"docker needs --privileged here and privileged mode in the project; or use the host's Docker with --docker " +
			"socket. Both require --engine docker."},
	{0, []string{"is already in use by container"},
		"Container names are global to the engine: with --docker socket, containers of other builds and of the host " +
			"block a name without being visible. Use a unique name, for example with $CODEBUILD_BUILD_NUMBER."},
	{127, []string{": docker: not found", "docker: command not found"},
		"The image has no docker command: install it, or choose an image that has it; and docker needs --privileged or " +
			"--docker socket."},
	{0, []string{"[[: not found", "source: not found", "ad substitution", "Illegal option -o pipefail", "shopt: not found",
		"pushd: not found", "declare: not found", "let: not found", `Syntax error: "(" unexpected`,
		`Syntax error: "}" unexpected`, "Syntax error: redirection unexpected"},
		"This is bash syntax and the image's sh is not bash: write shell: bash below env: in the buildspec."},
	{0, []string{"No space left on device", "no space left on device"},
		"The disk is full: build writes are stored by Docker (docker system df), or without Docker in the temporary " +
			"directory (TMPDIR)."},
	{0, []string{"ross-device link", "EXDEV"},
		"rename(2) of a directory that the image or the source brings fails on an overlay here; mv copes, for it copies. " +
			"As root without Docker it works."},
	{0, []string{"changing ownership of", "cannot set groups"},
		"Owners are for root to change, and to users the environment has: without Docker, a plain user's may have root " +
			"alone. buildlocal doctor says which there are."},
	{0, []string{"Value too large for defined data type"},
		"The file belongs to a user or group that the environment does not have: without Docker, non-root users must own " +
			"the group of the source (chgrp -R)."},
	{0, []string{"unable to apply cgroup configuration"},
		"The build's own Docker engine may not make control groups: under an engine without root that takes those of " +
			"version 2."},
	{126, []string{"ermission denied"},
		"The file is not executable: chmod +x it, and commit that with git update-index --chmod=+x."},
	{127, []string{": ./", ": ../", "required file not found", "bad interpreter"},
		"There is no such file, or the program its first line (#!) names is not in the image; Windows line ends (CRLF) " +
			"do that too: eol=lf in .gitattributes."},
	{127, nil, "Program not found: install it in the install phase, or use an image that has it."},
	{137, nil, "The command was killed, most often because memory ran out: increase the engine's memory, or reduce " +
		"the usage of the command."},
	{139, nil, "The command crashed (segmentation fault): often a program built for another system than the image's."},
}

// advice returns one line for a failed command, or "".
func advice(exit int, printed string) string {
	for _, h := range hints {
		if h.fits(exit, printed) {
			return h.text
		}
	}
	return ""
}
