package buildspec

import "github.com/buildlocal/buildlocal/internal/diag"

// The names of what Parse finds.
const (
	YAMLSyntax          = "yaml-syntax"
	TooLarge            = "too-large"
	EmptyBuildspec      = "empty-buildspec"
	SecondDocument      = "second-document"
	WrongType           = "wrong-type"
	BadValue            = "bad-value"
	MissingVersion      = "missing-version"
	MissingPhases       = "missing-phases"
	MissingKey          = "missing-key"
	UnknownVersion      = "unknown-version"
	UnknownPhase        = "unknown-phase"
	UnknownKey          = "unknown-key"
	UnknownReportFormat = "unknown-report-format"
	DuplicateKey        = "duplicate-key"
	NewerKey            = "newer-key"
	RemovedKey          = "removed-key"
	IgnoredKey          = "ignored-key"
	CommandNotText      = "command-not-text"
	EmptyCommand        = "empty-command"
	EmptyItem           = "empty-item"
	FinallyAlone        = "finally-without-commands"
	VariableName        = "variable-name"
	ReservedVariable    = "reserved-variable"
	TooMany             = "too-many"
	NoFiles             = "no-files"
	BadIdentifier       = "bad-identifier"
	OnlyBatch           = "only-batch"
)

// Checks describes what Parse finds, in the order of the reference.
var Checks = []diag.Check{
	{Name: YAMLSyntax, Severity: diag.Error, Summary: "The file is no YAML."},
	{Name: TooLarge, Severity: diag.Error, Softer: true, Summary: "The file is larger than any buildspec, or its aliases stand for too much."},
	{Name: EmptyBuildspec, Severity: diag.Error, Summary: "The file says nothing."},
	{Name: SecondDocument, Severity: diag.Warning, Summary: "Only the first document of a file counts."},
	{Name: MissingVersion, Severity: diag.Error, Summary: "The buildspec has no version."},
	{Name: UnknownVersion, Severity: diag.Warning, Summary: "Only the versions 0.1 and 0.2 are documented."},
	{Name: MissingPhases, Severity: diag.Error, Summary: "The buildspec has no phases."},
	{Name: OnlyBatch, Severity: diag.Error, Summary: "The buildspec has only a batch section and cannot be run as a single build."},
	{Name: UnknownPhase, Severity: diag.Error, Summary: "There are four phases: install, pre_build, build, post_build."},
	{Name: UnknownKey, Severity: diag.Warning, Summary: "The service does not know this key and ignores it."},
	{Name: DuplicateKey, Severity: diag.Warning, Summary: "A key is written twice in one mapping; the last one counts."},
	{Name: NewerKey, Severity: diag.Warning, Summary: "The key belongs to version 0.2."},
	{Name: RemovedKey, Severity: diag.Warning, Summary: "The service no longer reads this key."},
	{Name: IgnoredKey, Severity: diag.Warning, Summary: "The key counts for nothing where it stands."},
	{Name: WrongType, Severity: diag.Error, Summary: "A text, a list or a mapping stands where another of them is expected."},
	{Name: BadValue, Severity: diag.Error, Summary: "The key does not take this value."},
	{Name: MissingKey, Severity: diag.Error, Softer: true, Summary: "A section lacks a key it cannot do without."},
	{Name: CommandNotText, Severity: diag.Error, Summary: `A command became a mapping or a list, mostly because of a ": " in it.`},
	{Name: EmptyCommand, Severity: diag.Error, Summary: "An item of commands or finally is empty."},
	{Name: FinallyAlone, Severity: diag.Error, Summary: "finally needs commands beside it."},
	{Name: EmptyItem, Severity: diag.Warning, Summary: "An item of a list is empty."},
	{Name: VariableName, Severity: diag.Warning, Summary: "The name cannot be used by a shell; an error where no process can have such a variable."},
	{Name: ReservedVariable, Severity: diag.Warning, Summary: "Names that begin with CODEBUILD_ are the service's."},
	{Name: UnknownReportFormat, Severity: diag.Error, Summary: "The service does not know this format of reports."},
	{Name: NoFiles, Severity: diag.Warning, Summary: "A section that names no files has nothing to collect."},
	{Name: TooMany, Severity: diag.Warning, Summary: "The service takes fewer of them."},
	{Name: BadIdentifier, Severity: diag.Error, Summary: "The identifier cannot name anything."},
}
