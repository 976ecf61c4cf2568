// Package project reads the settings of a build that are not in its buildspec: image,
// variables, sources, artifacts and limits.
//
// Parse reads a project document, in the format of the CodeBuild API or of CloudFormation,
// into a Project. ParseEnvFlag, ParseEnvFile and ParseOverride read variables of the command
// line. The functions about images (DefaultImage, ImageCandidates, Unpublished and so on) know
// the curated images and their names.
//
// Like package buildspec, it reports all problems of a document with their positions. It does
// not fill in CodeBuild's defaults, does not access AWS, and does not look at the source.
package project

import "time"

// Project is a CreateProject request, reduced to the fields with an effect on a local build.
// The zero value is a build without a project document. A zero field is not set, and the
// caller chooses the default.
//
// Source: AWS CodeBuild API reference, CreateProject and the data type Project.
type Project struct {
	Name        string // may contain characters that the API rejects
	Description string

	Source            Source
	Secondary         []Source          // secondarySources, at most 12
	SourceVersion     string            // commit, branch, tag, pr/25, or an S3 version
	SecondaryVersions map[string]string // source identifier to version

	Artifacts          Artifacts
	SecondaryArtifacts []Artifacts // at most 12
	Cache              Cache
	Environment        Environment
	FileSystems        []FileSystem

	ServiceRole   string        // ARN
	EncryptionKey string        // ARN or alias/...
	Timeout       time.Duration // of the build, 5 to 2160 minutes; CodeBuild's default is 60
	QueuedTimeout time.Duration // 5 to 480 minutes; CodeBuild's default is 480

	// These three are kept for display; a local build does not depend on them.
	ConcurrentBuildLimit int    // -1 removes the limit
	AutoRetryLimit       int    // 0 to 10
	LogStreamPrefix      string // logsConfig.cloudWatchLogs.streamName
}

// Environment is the build environment: the API's ProjectEnvironment.
type Environment struct {
	Type                 string // such as LINUX_CONTAINER
	Image                string // as configured; CODEBUILD_BUILD_IMAGE has this form
	ComputeType          string // such as BUILD_GENERAL1_SMALL
	Compute              Compute
	Privileged           bool // privilegedMode; false if not set
	Variables            []Variable
	ImagePullCredentials string // imagePullCredentialsType: CODEBUILD or SERVICE_ROLE
	RegistryCredential   string // name or ARN of the secret for a private registry
	Certificate          string // S3 ARN of a PEM file
}

// Compute is the API's ComputeConfiguration. It belongs to the compute types
// ATTRIBUTE_BASED_COMPUTE and CUSTOM_INSTANCE_TYPE.
type Compute struct {
	VCPU, Memory, Disk int    // Memory and Disk in GiB; 0 if not set
	MachineType        string // GENERAL or NVME
	InstanceType       string
}

// VariableType is the meaning of a variable's value: the API's EnvironmentVariableType. A value of
// one of the other types is looked up before the build, and masked in the log.
type VariableType string

// The types of a variable. The default is PLAINTEXT.
const (
	Plaintext      VariableType = "PLAINTEXT"       // the value itself
	ParameterStore VariableType = "PARAMETER_STORE" // the name of a parameter
	SecretsManager VariableType = "SECRETS_MANAGER" // secret-id:json-key:version-stage:version-id
)

// Variable is an environment variable: the API's EnvironmentVariable. Value is literal:
// CodeBuild expands nothing in it.
type Variable struct {
	Name  string
	Value string
	Type  VariableType
	Line  int // line of the definition, from 1; 0 for the command line
}

// Source is the location of source code: the API's ProjectSource.
type Source struct {
	Type       string // such as GITHUB or NO_SOURCE
	Location   string // URL, bucket and key, or a CodePipeline placeholder
	Identifier string // required for a secondary source
	// CodeBuild distinguishes the three forms by the text alone.
	Buildspec       string // path, inline buildspec or S3 ARN; "" is buildspec.yml
	GitCloneDepth   int    // 0 is the full history
	FetchSubmodules bool   // gitSubmodulesConfig.fetchSubmodules
}

// Artifacts is the destination of a build's artifacts: the API's ProjectArtifacts.
type Artifacts struct {
	Type               string // CODEPIPELINE, S3 or NO_ARTIFACTS
	Location           string // bucket
	Path               string // prefix in the bucket
	NamespaceType      string // NONE or BUILD_ID
	Name               string // name of the file or of the directory
	Packaging          string // NONE or ZIP
	Identifier         string // required for secondary artifacts
	OverrideName       bool   // overrideArtifactName: the name in the buildspec takes precedence
	EncryptionDisabled bool
}

// Cache is the cache of a project: the API's ProjectCache.
type Cache struct {
	Type      string   // NO_CACHE, S3 or LOCAL
	Location  string   // bucket/prefix
	Modes     []string // of a LOCAL cache
	Namespace string   // cacheNamespace, shared by projects
}

// FileSystem is a directory that is mounted into the build: the API's
// ProjectFileSystemLocation. CodeBuild sets CODEBUILD_<IDENTIFIER>, in upper case, to the
// mount point.
type FileSystem struct {
	Type         string // EFS
	Identifier   string
	Location     string // dns-name or dns-name:/directory
	MountPoint   string
	MountOptions string
}
