package diag

// Names of checks of commands that more than one package knows: package lint reports them, and
// package runner explains failed commands by them.
const (
	BashSyntax         = "bash-syntax"
	CRLFScript         = "crlf-script"
	LostDirectory      = "lost-directory"
	LostFunction       = "lost-function"
	LostText           = "lost-text"
	MissingFile        = "missing-file"
	NotExecutable      = "not-executable"
	NotPrivileged      = "not-privileged"
	ShellSyntax        = "shell-syntax"
	UnexpandedVariable = "unexpanded-variable"
)
