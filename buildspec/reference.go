package buildspec

import "github.com/buildlocal/buildlocal/compute"

// Formats are the report formats the service reads.
var Formats = []string{"JUNITXML", "NUNITXML", "NUNIT3XML", "TESTNGXML", "VISUALSTUDIOTRX", "CUCUMBERJSON", "CLOVERXML", "COBERTURAXML", "JACOCOXML", "SIMPLECOV"}

// Shells are the values the reference gives for env.shell, then the spellings of
// them that are seen to work.
var Shells = []string{"bash", "/bin/sh", "powershell.exe", "cmd.exe", "sh", "/bin/bash"}

// Runtimes are the names of runtime-versions that a curated image has had.
var Runtimes = []string{"android", "docker", "dotnet", "golang", "java", "nodejs", "php", "python", "ruby", "rust"}

// Reference returns every key of a buildspec, in the order of the service's page
// "Build specification reference for CodeBuild" and, for batch, of "Batch build
// buildspec reference" (2025).
func Reference() *Key { return reference }

var reference = &Key{Kind: Section, Doc: "A buildspec: the commands of a build and what they need.", Keys: []Key{
	{Name: "version", Required: true, Values: []string{"0.2", "0.1"}, Open: true,
		Doc: "Version of the buildspec syntax. In 0.1 every command runs in a shell of its own; in 0.2 directory and variables last from one command to the next."},
	{Name: "run-as", Newer: true, Default: "root",
		Doc: "Linux user that runs all phases; a phase may name another. The user must exist in the image."},
	envKey,
	{Name: "environment_variables", Kind: Section, Old: true, Doc: "Variables, in version 0.1.", Keys: []Key{
		{Name: "plaintext", Kind: Names, Named: variableForm, Each: &Key{Doc: "Value of the variable: literal, nothing in it is expanded."}, Doc: "Variables with their values."},
	}},
	{Name: "proxy", Kind: Section, Newer: true, Doc: "What goes through an explicit proxy server. Of no meaning on one machine.", Keys: []Key{
		{Name: "upload-artifacts", Kind: Truth, Default: "no", Doc: "Artifacts are uploaded through the proxy."},
		{Name: "logs", Kind: Truth, Default: "no", Doc: "Logs are sent through the proxy."},
	}},
	batchKey,
	phasesKey,
	{Name: "reports", Kind: Names, Newer: true, Doc: "Report groups, each by its name or ARN: test and coverage reports. At most five.",
		Each: &Key{Kind: Section, Doc: "A report group: which files are reports, and in which format.", Keys: []Key{
			{Name: "files", Kind: Texts, Doc: "Files that are reports: paths or patterns, below base-directory. dir/* is the files in dir, dir/**/* all below it, **/* everything."},
			baseDirectoryKey,
			{Name: "discard-paths", Kind: Truth, Default: "no", Doc: "Only the names of the files are kept, not their directories."},
			{Name: "file-format", Values: Formats, Default: "JUNITXML", Doc: "Format of the reports. Case does not count."},
		}}},
	{Name: "artifacts", Kind: Section, Doc: "The files the build leaves.", Keys: append(artifactKeys(),
		Key{Name: "secondary-artifacts", Kind: Names, Named: `^[A-Za-z0-9_-]+$`, Doc: "Further artifacts, each by an identifier that the project defines too. At most twelve.",
			Each: &Key{Kind: Section, Doc: "Secondary artifacts with this identifier.", Keys: artifactKeys()}}),
	},
	{Name: "cache", Kind: Section, Newer: true, Doc: "Files kept from one build to the next.", Keys: []Key{
		{Name: "paths", Kind: Texts, Doc: "What is kept: paths or patterns, absolute or below the source. Variables are expanded. A LOCAL cache keeps directories only."},
		{Name: "key", Doc: "Name of the cache, expanded by a shell; `codebuild-hash-files PATTERN...` in it is a hash of files. A cache with a key is never overwritten."},
		{Name: "fallback-keys", Kind: Texts, Doc: "Beginnings of keys, tried in this order where key finds no cache. At most five; they count only beside key."},
		{Name: "action", Values: []string{"restore", "save"}, Doc: "Only restore the cache, or only save it. Both where nothing is written."},
	}},
}}

// variableForm is the name of a variable that a process can have.
const variableForm = `^[^=\x00]+$`

var envKey = Key{Name: "env", Kind: Section, Newer: true, Doc: "Variables of the build, and the shell of its commands.", Keys: []Key{
	{Name: "shell", Values: Shells, Open: true, Default: "sh", Doc: "Shell that runs the commands: bash or /bin/sh on Linux, powershell.exe or cmd.exe on Windows."},
	{Name: "variables", Kind: Names, Named: variableForm, Doc: "Variables with their values. The project and the start of a build override them.",
		Each: &Key{Doc: "Value of the variable: literal, nothing in it is expanded."}},
	{Name: "parameter-store", Kind: Names, Named: variableForm, Doc: "Variables whose values are kept in the Parameter Store of Systems Manager.",
		Each: &Key{Doc: "Name of the parameter."}},
	{Name: "secrets-manager", Kind: Names, Named: variableForm, Doc: "Variables whose values are kept in Secrets Manager.",
		Each: &Key{Doc: "secret-id:json-key:version-stage:version-id. The id is a name or an ARN; the rest may be left out, and stage and id exclude each other."}},
	{Name: "exported-variables", Kind: Texts, Doc: "Names of variables whose values are told when the build ends, such as to CodePipeline. Values from Parameter Store and Secrets Manager, and names that begin with AWS_, are not."},
	{Name: "git-credential-helper", Kind: Truth, Default: "no", Doc: "Git in the build uses the credentials of the source."},
}}

var phasesKey = Key{Name: "phases", Kind: Section, Required: true, Fold: true, Closed: true,
	Doc: "The commands of the build, by phase. The phases always run in the order install, pre_build, build, post_build.",
	Keys: []Key{
		phaseKey("install", "Packages and runtimes the build needs."),
		phaseKey("pre_build", "What comes before the build, such as signing in to a registry."),
		phaseKey("build", "The build itself. When it fails post_build runs all the same."),
		phaseKey("post_build", "What comes after the build, also after one that failed: CODEBUILD_BUILD_SUCCEEDING is 1 only when it did not."),
	}}

// retryForm is RETRY-count, RETRY-regex and RETRY-count-regex.
const retryForm = `^[Rr][Ee][Tt][Rr][Yy]-(0*(100|[0-9]{1,2})(-.*)?|-.*|[0-9]*[^0-9-].*)?$`

func phaseKey(name, doc string) Key {
	beside := ""
	if needsCommands(name) {
		beside = "commands"
	}
	return Key{Name: name, Kind: Section, Doc: doc, Keys: []Key{
		{Name: "run-as", Newer: true, Doc: "Linux user that runs this phase."},
		{Name: "on-failure", Newer: true, Values: []string{string(Abort), string(Continue), string(Retry)}, Pattern: retryForm,
			Doc: "What follows when the phase fails: ABORT ends the build, CONTINUE goes on with the next phase, RETRY, RETRY-count, RETRY-regex and RETRY-count-regex run it again."},
		{Name: "runtime-versions", Kind: Names, Only: "install", Doc: "Runtimes of a curated image with their versions, such as `nodejs: 22`, `python: 3.x`, `java: corretto21` or `golang: latest`. Counts only in install.",
			Each: &Key{Doc: "Version: one the image has, such as 3.12, a pattern such as 3.x, or latest."}},
		{Name: "commands", Kind: Commands, Doc: "Scripts, run one after the other; the first that fails ends the phase. Of a script of several lines the last command's status counts."},
		{Name: "finally", Kind: Commands, Newer: true, Beside: beside, Doc: "Scripts that run after commands, also when one of them failed. It needs commands beside it."},
		{Name: "steps", Kind: Ignored, Gone: "steps, the syntax of GitHub Actions, was withdrawn by the service and is ignored; write commands"},
	}}
}

var baseDirectoryKey = Key{Name: "base-directory", Doc: "Directory that files is meant below, relative to the source; a pattern may match several."}

func artifactKeys() []Key {
	return []Key{
		{Name: "files", Kind: Texts, Doc: "Files that are artifacts: paths or patterns, below base-directory. dir/* is the files in dir, dir/**/* all below it, **/* everything."},
		{Name: "name", Doc: "Name of the artifacts, expanded by a shell. Counts only where the project allows it (overrideArtifactName)."},
		{Name: "discard-paths", Kind: Truth, Default: "no", Doc: "Only the names of the files are kept, not their directories."},
		baseDirectoryKey,
		{Name: "exclude-paths", Kind: Texts, Doc: "Files that are left out: patterns, below base-directory."},
		{Name: "enable-symlinks", Kind: Truth, Default: "no", Doc: "Symbolic links are kept as links; only in a ZIP."},
		{Name: "s3-prefix", Doc: "Prefix of the artifacts in their bucket, where the project's namespace is BUILD_ID."},
		{Name: "type", Kind: Ignored, Old: true, Doc: "Version 0.1 only, and ignored there."},
	}
}

var batchKey = Key{Name: "batch", Kind: Section, Newer: true,
	Doc: "Builds that belong together: exactly one of build-graph, build-list, build-matrix and build-fanout. Counts only when a batch build is started.",
	Keys: []Key{
		{Name: "fast-fail", Kind: Truth, Default: "false", Doc: "One build that fails stops all others that run."},
		{Name: "build-graph", Kind: Items, Doc: "Builds that may depend on each other.",
			Each: &Key{Kind: Section, Doc: "One build of the graph.", Keys: taskKeys(true)}},
		{Name: "build-list", Kind: Items, Doc: "Builds that run side by side.",
			Each: &Key{Kind: Section, Doc: "One build of the list.", Keys: taskKeys(false)}},
		{Name: "build-matrix", Kind: Section, Doc: "One build for every combination of the dynamic values.", Keys: []Key{
			{Name: "static", Kind: Section, Doc: "What is the same in every build.", Keys: []Key{
				ignoreFailureKey,
				{Name: "env", Kind: Section, Doc: "Environment of every build.", Keys: []Key{privilegedKey, environmentTypeKey}},
			}},
			{Name: "dynamic", Kind: Section, Doc: "What is varied.", Keys: []Key{
				{Name: "buildspec", Kind: Texts, Doc: "Buildspecs, by path."},
				{Name: "env", Kind: Section, Doc: "Environments.", Keys: []Key{
					{Name: "compute-type", Kind: Texts, Values: compute.Types, Open: true, Doc: "Compute types."},
					{Name: "image", Kind: Texts, Doc: "Images."},
					{Name: "variables", Kind: Names, Each: &Key{Kind: Texts, Doc: "Values of the variable."}, Doc: "Variables, each with the values it takes."},
				}},
			}},
		}},
		{Name: "build-fanout", Kind: Section, Doc: "The same build several times, each with its share of the tests.", Keys: []Key{
			{Name: "parallelism", Required: true, Pattern: `^\s*[1-9][0-9]*\s*$`, Doc: "How many builds run, a number."},
			ignoreFailureKey,
		}},
	}}

var (
	ignoreFailureKey   = Key{Name: "ignore-failure", Kind: Truth, Default: "false", Doc: "A failure of this build does not fail the batch."}
	privilegedKey      = Key{Name: "privileged-mode", Kind: Truth, Default: "false", Doc: "The build may run a Docker daemon."}
	environmentTypeKey = Key{Name: "type", Values: compute.EnvironmentTypes, Open: true, Doc: "Environment type, such as LINUX_CONTAINER."}
)

func taskKeys(graph bool) []Key {
	keys := []Key{
		{Name: "identifier", Wanted: true, Doc: "Name of the build in the batch, which no other one has."},
		{Name: "buildspec", Doc: "Path of the build's buildspec; this one where nothing is written."},
		{Name: "debug-session", Kind: Truth, Default: "false", Doc: "A session may be opened in the build."},
	}
	if graph {
		keys = append(keys, Key{Name: "depend-on", Kind: Texts, Doc: "Identifiers of the builds that come before this one."})
	}
	return append(keys, ignoreFailureKey, Key{Name: "env", Kind: Section, Doc: "Environment of the build, where it is not the project's.", Keys: []Key{
		{Name: "compute-type", Values: compute.Types, Open: true, Doc: "Compute type, such as BUILD_GENERAL1_SMALL. Not beside fleet."},
		{Name: "fleet", Doc: "Name or ARN of a fleet of reserved capacity. Not beside compute-type."},
		{Name: "image", Doc: "Image of the build."},
		privilegedKey,
		environmentTypeKey,
		{Name: "variables", Kind: Names, Each: &Key{Doc: "Value of the variable: literal, nothing in it is expanded."}, Doc: "Variables, which override those of the buildspec."},
	}})
}
