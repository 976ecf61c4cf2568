// Package project reads what a build is made of before its buildspec is opened:
// image, variables, sources, limits: what CreateProject says.
package project

import "time"

// Project is what a CreateProject request says, as far as it changes a local
// build. The zero value is a build without a project document. A field left
// zero was not said; the service's default is then the caller's to choose.
//
// Source: AWS CodeBuild API reference, CreateProject and the data type Project.
type Project struct {
	Name        string
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

	ServiceRole   string        // an ARN
	EncryptionKey string        // an ARN or alias/...
	Timeout       time.Duration // of the build, 5 to 2160 minutes; the service's default is 60
	QueuedTimeout time.Duration // 5 to 480 minutes; the service's default is 480

	ConcurrentBuildLimit int
	AutoRetryLimit       int
	LogStreamPrefix      string // logsConfig.cloudWatchLogs.streamName
}

// Environment is the build environment: the API's ProjectEnvironment.
type Environment struct {
	Type                 string // such as LINUX_CONTAINER
	Image                string // as configured: CODEBUILD_BUILD_IMAGE keeps the spelling
	ComputeType          string // such as BUILD_GENERAL1_SMALL
	Compute              Compute
	Privileged           bool // privilegedMode; false unless said
	Variables            []Variable
	ImagePullCredentials string // imagePullCredentialsType: CODEBUILD or SERVICE_ROLE
	RegistryCredential   string // name or ARN of the secret for a private registry
	Certificate          string // S3 ARN of a PEM file
}

// Compute is the API's ComputeConfiguration, which goes with the compute types
// ATTRIBUTE_BASED_COMPUTE and CUSTOM_INSTANCE_TYPE.
type Compute struct {
	VCPU, Memory, Disk int    // Memory and Disk in GiB
	MachineType        string // GENERAL or NVME
	InstanceType       string
}

// VariableType says what the value of a variable means: the API's
// EnvironmentVariableType.
type VariableType string

// The types of a variable. Without a type a variable is PLAINTEXT.
const (
	Plaintext      VariableType = "PLAINTEXT"       // the value itself
	ParameterStore VariableType = "PARAMETER_STORE" // the name of a parameter
	SecretsManager VariableType = "SECRETS_MANAGER" // secret-id:json-key:version-stage:version-id
)

// Variable is one environment variable: the API's EnvironmentVariable. Value is
// literal: the service expands nothing in it.
type Variable struct {
	Name  string
	Value string
	Type  VariableType
	Line  int // where it was defined, from 1; 0 on the command line
}

// Source is where code comes from: the API's ProjectSource.
type Source struct {
	Type            string // such as GITHUB or NO_SOURCE
	Location        string
	Identifier      string // required of a secondary source
	Buildspec       string // a path, a whole buildspec or an S3 ARN; "" is buildspec.yml
	GitCloneDepth   int    // 0 is everything
	FetchSubmodules bool   // gitSubmodulesConfig.fetchSubmodules
}

// Artifacts is where the files of a build go: the API's ProjectArtifacts.
type Artifacts struct {
	Type               string // CODEPIPELINE, S3 or NO_ARTIFACTS
	Location           string // a bucket
	Path               string
	NamespaceType      string // NONE or BUILD_ID
	Name               string
	Packaging          string // NONE or ZIP
	Identifier         string // required of secondary artifacts
	OverrideName       bool   // overrideArtifactName: the buildspec's name counts
	EncryptionDisabled bool
}

// Cache is what is kept between builds: the API's ProjectCache.
type Cache struct {
	Type      string   // NO_CACHE, S3 or LOCAL
	Location  string   // bucket/prefix
	Modes     []string // of a LOCAL cache
	Namespace string   // cacheNamespace, shared by projects
}

// FileSystem is a directory mounted into the build: the API's
// ProjectFileSystemLocation. The service sets CODEBUILD_<IDENTIFIER>, in capital
// letters, to the mount point.
type FileSystem struct {
	Type         string // EFS
	Identifier   string
	Location     string // dns-name or dns-name:/directory
	MountPoint   string
	MountOptions string
}
