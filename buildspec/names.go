package buildspec

import "github.com/buildlocal/buildlocal/internal/diag"

// The names of the checks of Parse.
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

// Checks describes the checks of Parse, in the order of docs/checks.md.
var Checks = []diag.Check{
	{Name: YAMLSyntax, Severity: diag.Error, Summary: "The file is not valid YAML."},
	{Name: TooLarge, Severity: diag.Error, Softer: true,
		Summary: "The file exceeds a size limit, or its aliases expand to too many values."},
	{Name: EmptyBuildspec, Severity: diag.Error, Summary: "The file is empty."},
	{Name: SecondDocument, Severity: diag.Warning, Summary: "Only the first YAML document of a file is used."},
	{Name: MissingVersion, Severity: diag.Error, Summary: "The buildspec has no version."},
	{Name: UnknownVersion, Severity: diag.Warning, Summary: "Only the versions 0.1 and 0.2 are documented."},
	{Name: MissingPhases, Severity: diag.Error, Summary: "The buildspec has no phases."},
	{Name: OnlyBatch, Severity: diag.Error,
		Summary: "The buildspec has only a batch section and cannot be run as a single build."},
	{Name: UnknownPhase, Severity: diag.Error, Summary: "The phases are install, pre_build, build and post_build."},
	{Name: UnknownKey, Severity: diag.Warning, Summary: "CodeBuild does not know this key and ignores it."},
	{Name: DuplicateKey, Severity: diag.Warning, Summary: "A mapping has the same key twice; the last one wins."},
	{Name: NewerKey, Severity: diag.Warning, Summary: "The key requires version 0.2."},
	{Name: RemovedKey, Severity: diag.Warning, Summary: "CodeBuild no longer supports this key."},
	{Name: IgnoredKey, Severity: diag.Warning, Summary: "The key has no effect in this place."},
	{Name: WrongType, Severity: diag.Error, Summary: "A value has the wrong type: string, list or mapping."},
	{Name: BadValue, Severity: diag.Error, Summary: "The key does not accept this value."},
	{Name: MissingKey, Severity: diag.Error, Softer: true, Summary: "A section lacks a required key."},
	{Name: CommandNotText, Severity: diag.Error,
		Summary: `A command was parsed as a mapping or a list, usually because of a ": " in it.`},
	{Name: EmptyCommand, Severity: diag.Error, Summary: "An item of commands or finally is empty."},
	{Name: FinallyAlone, Severity: diag.Error, Summary: "finally requires commands in the same phase."},
	{Name: EmptyItem, Severity: diag.Warning, Summary: "A list item is empty."},
	{Name: VariableName, Severity: diag.Warning,
		Summary: "The variable name is not valid in a shell. It is an error if no process can have such a variable."},
	{Name: ReservedVariable, Severity: diag.Warning, Summary: "CodeBuild reserves names that begin with CODEBUILD_."},
	{Name: UnknownReportFormat, Severity: diag.Error, Summary: "CodeBuild does not support this report format."},
	{Name: NoFiles, Severity: diag.Warning, Summary: "A section without files collects nothing."},
	{Name: TooMany, Severity: diag.Warning, Summary: "The number of items exceeds CodeBuild's limit."},
	{Name: BadIdentifier, Severity: diag.Error, Summary: "The identifier is not valid."},
}
