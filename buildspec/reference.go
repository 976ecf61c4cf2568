package buildspec

import (
	"fmt"

	"github.com/buildlocal/buildlocal/compute"
)

// Formats are the report formats that CodeBuild reads.
var Formats = []string{
	"JUNITXML", "NUNITXML", "NUNIT3XML", "TESTNGXML", "VISUALSTUDIOTRX", "CUCUMBERJSON", "CLOVERXML", "COBERTURAXML",
	"JACOCOXML", "SIMPLECOV",
}

// Shells are the values of env.shell in the reference, followed by variants that are
// observed to work.
var Shells = []string{"bash", "/bin/sh", "powershell.exe", "cmd.exe", "sh", "/bin/bash"}

// Runtimes are the names that runtime-versions accepts in at least one curated image,
// including old ones.
var Runtimes = []string{
	"android", "docker", "dotnet", "golang", "java", "nodejs", "php", "python", "ruby", "rust",
}

// Reference returns the root of the table of all keys, in the order of the page "Build
// specification reference for CodeBuild" and, for batch, of "Batch build buildspec
// reference" (both as of 2025). Callers must not modify it.
func Reference() *Key { return reference }

const (
	filesDoc = "%s: paths or patterns relative to base-directory. `dir/*` matches the files in dir, " +
		"`dir/**/*` all files below dir, and `**/*` all files."
	discardDoc = "Keep only the names of the files, without their directories."
	literalDoc = "Value of the variable. It is literal: nothing in it is expanded."
)

var reference = &Key{Kind: Section, Doc: "A buildspec: the commands of a build and their settings.", Keys: []Key{
	{Name: "version", Required: true, Values: []string{"0.2", "0.1"}, AnyValue: true,
		Doc: "Version of the buildspec syntax. In 0.1 each command runs in its own shell; " +
			"in 0.2 the working directory and variables persist from one command to the next."},
	{Name: "run-as", Since02: true, Default: "root",
		Doc: "Linux user that runs all phases. A phase can override it. The user must exist in the image."},
	envKey,
	{Name: "environment_variables", Kind: Section, Only01: true, Doc: "Variables, in version 0.1.", Keys: []Key{
		{Name: "plaintext", Kind: Map, NamePattern: variableForm, Elem: &Key{Doc: literalDoc},
			Doc: "Variables with their values."},
	}},
	{Name: "proxy", Kind: Section, Since02: true,
		Doc: "Use of an explicit proxy server. Has no effect in a local build.", Keys: []Key{
			{Name: "upload-artifacts", Kind: Bool, Default: "no", Doc: "Upload artifacts through the proxy."},
			{Name: "logs", Kind: Bool, Default: "no", Doc: "Send logs through the proxy."},
		}},
	batchKey,
	phasesKey,
	reportsKey,
	{Name: "artifacts", Kind: Section, Doc: "Files that the build produces.", Keys: append(artifactKeys(),
		Key{Name: "secondary-artifacts", Kind: Map, NamePattern: `^[A-Za-z0-9_-]+$`,
			Doc:  "Additional artifacts, each under an identifier that the project defines as well. At most twelve.",
			Elem: &Key{Kind: Section, Doc: "Secondary artifacts with this identifier.", Keys: artifactKeys()}}),
	},
	{Name: "cache", Kind: Section, Since02: true, Doc: "Files that are kept for later builds.", Keys: []Key{
		{Name: "paths", Kind: TextList,
			Doc: "Paths or patterns, absolute or relative to the source directory. Variables are expanded. " +
				"A LOCAL cache keeps directories only."},
		{Name: "key",
			Doc: "Name of the cache, expanded by a shell. `codebuild-hash-files PATTERN...` in it is a hash of files. " +
				"A cache with a key is never overwritten."},
		{Name: "fallback-keys", Kind: TextList,
			Doc: "Key prefixes, tried in this order if there is no cache for key. At most five. They require key."},
		{Name: "action", Values: []string{"restore", "save"},
			Doc: "Only restore the cache, or only save it. Both if not set."},
	}},
}}

var reportsKey = Key{Name: "reports", Kind: Map, Since02: true,
	Doc: "Report groups for test and coverage reports, each under its name or ARN. At most five.",
	Elem: &Key{Kind: Section, Doc: "A report group: the files of its reports and their format.", Keys: []Key{
		{Name: "files", Kind: TextList, Doc: fmt.Sprintf(filesDoc, "Report files")},
		baseDirectoryKey,
		{Name: "discard-paths", Kind: Bool, Default: "no", Doc: discardDoc},
		{Name: "file-format", Values: Formats, Default: "JUNITXML", Doc: "Format of the reports, case-insensitive."},
	}}}

// variableForm matches the variable names that a process can have.
const variableForm = `^[^=\x00]+$`

var envKey = Key{Name: "env", Kind: Section, Since02: true,
	Doc: "Variables of the build, and the shell that runs its commands.", Keys: []Key{
		{Name: "shell", Values: Shells, AnyValue: true, Default: "sh",
			Doc: "Shell that runs the commands: bash or /bin/sh on Linux, powershell.exe or cmd.exe on Windows."},
		{Name: "variables", Kind: Map, NamePattern: variableForm, Elem: &Key{Doc: literalDoc},
			Doc: "Variables with their values. Variables of the project and of the start of the build override them."},
		{Name: "parameter-store", Kind: Map, NamePattern: variableForm, Elem: &Key{Doc: "Name of the parameter."},
			Doc: "Variables with values from Systems Manager Parameter Store."},
		{Name: "secrets-manager", Kind: Map, NamePattern: variableForm,
			Doc: "Variables with values from Secrets Manager.",
			Elem: &Key{Doc: "secret-id:json-key:version-stage:version-id. The secret ID is a name or an ARN. " +
				"The other parts are optional; version-stage and version-id exclude each other."}},
		{Name: "exported-variables", Kind: TextList,
			Doc: "Names of variables to export when the build ends, for example to CodePipeline. Values from Parameter Store " +
				"and Secrets Manager, and variables whose names begin with AWS_, are not exported."},
		{Name: "git-credential-helper", Kind: Bool, Default: "no",
			Doc: "Let git in the build use the credentials of the source."},
	}}

var phasesKey = Key{Name: "phases", Kind: Section, Required: true, IgnoreCase: true, RejectsOther: true,
	Doc: "Commands of the build, by phase. Phases always run in the order install, pre_build, build, post_build.",
	Keys: []Key{
		phaseKey("install", "Installation of packages and runtimes that the build needs."),
		phaseKey("pre_build", "Commands before the build, such as signing in to a registry."),
		phaseKey("build", "The build itself. If it fails, post_build still runs."),
		phaseKey("post_build", "Commands after the build, even after a failed one. "+
			"CODEBUILD_BUILD_SUCCEEDING is 1 if no phase has failed and 0 otherwise."),
	}}

// retryForm matches RETRY-count, RETRY-regex and RETRY-count-regex as ParseOnFailure
// reads them. JSON Schema has no case-insensitive patterns.
const retryForm = `^[Rr][Ee][Tt][Rr][Yy]-(0*(100|[0-9]{1,2})(-.*)?|-.*|[0-9]*[^0-9-].*)?$`

// phaseKey returns the key of a phase. All phases have the same keys, also those that
// have an effect in one phase only, because CodeBuild accepts them everywhere.
func phaseKey(name, doc string) Key {
	requires := ""
	if needsCommands(name) {
		requires = "commands"
	}
	return Key{Name: name, Kind: Section, Doc: doc, Keys: []Key{
		{Name: "run-as", Since02: true, Doc: "Linux user that runs this phase."},
		{Name: "on-failure", Since02: true, Pattern: retryForm,
			Values: []string{string(Abort), string(Continue), string(Retry)},
			Doc: "Action if the phase fails: ABORT ends the build, CONTINUE proceeds with the next phase, and RETRY, " +
				"RETRY-count, RETRY-regex and RETRY-count-regex run the phase again."},
		{Name: "runtime-versions", Kind: Map, OnlyPhase: "install",
			Doc: "Runtimes of a curated image with their versions, such as `nodejs: 22`, `python: 3.x`, " +
				"`java: corretto21` or `golang: latest`. Has an effect only in install.",
			Elem: &Key{Doc: "Version: one that the image provides, such as 3.12, a pattern such as 3.x, or latest."}},
		{Name: "commands", Kind: Commands,
			Doc: "Scripts that run one after the other. The first failure ends the phase. " +
				"A script of several lines has the exit status of its last command."},
		{Name: "finally", Kind: Commands, Since02: true, Requires: requires,
			Doc: "Scripts that run after commands, even if one of them failed. Requires commands."},
		{Name: "steps", Kind: Ignored,
			Removed: "CodeBuild has withdrawn steps, the syntax of GitHub Actions, and ignores it",
			Instead: "use commands"},
	}}
}

var baseDirectoryKey = Key{Name: "base-directory",
	Doc: "Directory that files is relative to, itself relative to the source directory. A pattern may match several."}

// artifactKeys returns the keys of artifacts and of each of its secondary-artifacts. It
// returns a new slice, because the caller appends to it.
func artifactKeys() []Key {
	return []Key{
		{Name: "files", Kind: TextList, Doc: fmt.Sprintf(filesDoc, "Artifact files")},
		{Name: "name",
			Doc: "Name of the artifacts, expanded by a shell. Has an effect only if the project sets overrideArtifactName."},
		{Name: "discard-paths", Kind: Bool, Default: "no", Doc: discardDoc},
		baseDirectoryKey,
		{Name: "exclude-paths", Kind: TextList, Doc: "Patterns of files to leave out, relative to base-directory."},
		{Name: "enable-symlinks", Kind: Bool, Default: "no", Doc: "Keep symbolic links as links. ZIP artifacts only."},
		{Name: "s3-prefix",
			Doc: "Prefix of the artifacts in their bucket, if the project's namespace type is BUILD_ID."},
		{Name: "type", Kind: Ignored, Only01: true, Doc: "Version 0.1 only. Ignored there as well."},
	}
}

var batchKey = Key{Name: "batch", Kind: Section, Since02: true,
	Doc: "Several builds that run as one batch: exactly one of build-graph, build-list, build-matrix and build-fanout. " +
		"Has an effect only if a batch build is started.",
	Keys: []Key{
		{Name: "fast-fail", Kind: Bool, Default: "false", Doc: "Stop the other builds when one fails."},
		{Name: "build-graph", Kind: List, Doc: "Builds with dependencies between them.",
			Elem: &Key{Kind: Section, Doc: "One build of the graph.", Keys: taskKeys(true)}},
		{Name: "build-list", Kind: List, Doc: "Builds that run in parallel.",
			Elem: &Key{Kind: Section, Doc: "One build of the list.", Keys: taskKeys(false)}},
		matrixKey,
		{Name: "build-fanout", Kind: Section, Doc: "Parallel copies of one build, each with its share of the tests.",
			Keys: []Key{
				{Name: "parallelism", Required: true, Pattern: `^\s*[1-9][0-9]*\s*$`, Doc: "Number of builds."},
				ignoreFailureKey,
			}},
	}}

var matrixKey = Key{Name: "build-matrix", Kind: Section, Doc: "One build for each combination of the dynamic values.",
	Keys: []Key{
		{Name: "static", Kind: Section, Doc: "Settings that all builds share.", Keys: []Key{
			ignoreFailureKey,
			{Name: "env", Kind: Section, Doc: "Environment of all builds.", Keys: []Key{privilegedKey, environmentTypeKey}},
		}},
		{Name: "dynamic", Kind: Section, Doc: "Settings that vary between the builds.", Keys: []Key{
			{Name: "buildspec", Kind: TextList, Doc: "Paths of buildspecs."},
			{Name: "env", Kind: Section, Doc: "Environments.", Keys: []Key{
				{Name: "compute-type", Kind: TextList, Values: compute.Types, AnyValue: true, Doc: "Compute types."},
				{Name: "image", Kind: TextList, Doc: "Images."},
				{Name: "variables", Kind: Map, Elem: &Key{Kind: TextList, Doc: "Values of the variable."},
					Doc: "Variables, each with a list of values."},
			}},
		}},
	}}

var (
	ignoreFailureKey = Key{Name: "ignore-failure", Kind: Bool, Default: "false",
		Doc: "A failure of this build does not fail the batch."}
	privilegedKey = Key{Name: "privileged-mode", Kind: Bool, Default: "false",
		Doc: "Run the build in privileged mode, so that it can start a Docker daemon."}
	environmentTypeKey = Key{Name: "type", Values: compute.EnvironmentTypes, AnyValue: true,
		Doc: "Environment type, such as LINUX_CONTAINER."}
)

// taskKeys returns the keys of a build of a build-graph or of a build-list.
func taskKeys(graph bool) []Key {
	keys := []Key{
		{Name: "identifier", BatchNeeds: true, Doc: "Name of the build, unique in the batch."},
		{Name: "buildspec", Doc: "Path of the build's buildspec. If not set, this buildspec."},
		{Name: "debug-session", Kind: Bool, Default: "false", Doc: "Allow a Session Manager session in the build."},
	}
	if graph {
		keys = append(keys, Key{Name: "depend-on", Kind: TextList,
			Doc: "Identifiers of builds that must succeed before this one."})
	}
	return append(keys, ignoreFailureKey, Key{Name: "env", Kind: Section,
		Doc: "Environment of the build. It overrides that of the project.", Keys: []Key{
			{Name: "compute-type", Values: compute.Types, AnyValue: true,
				Doc: "Compute type, such as BUILD_GENERAL1_SMALL. Excludes fleet."},
			{Name: "fleet", Doc: "Name or ARN of a reserved capacity fleet. Excludes compute-type."},
			{Name: "image", Doc: "Image of the build."},
			privilegedKey,
			environmentTypeKey,
			{Name: "variables", Kind: Map, Elem: &Key{Doc: literalDoc},
				Doc: "Variables. They override those of the buildspec."},
		}})
}
