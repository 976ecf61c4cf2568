package project

// The values that CreateProject accepts, from the enumerations of the API model
// (aws-sdk-go-v2/service/codebuild v1.69.0), as of November 2026.
var (
	sourceTypes = []string{
		"CODECOMMIT", "CODEPIPELINE", "GITHUB", "GITHUB_ENTERPRISE", "GITLAB",
		"GITLAB_SELF_MANAGED", "BITBUCKET", "S3", "NO_SOURCE",
	}
	artifactsTypes  = []string{"CODEPIPELINE", "S3", "NO_ARTIFACTS"}
	namespaceTypes  = []string{"NONE", "BUILD_ID"}
	packagings      = []string{"NONE", "ZIP"}
	cacheTypes      = []string{"NO_CACHE", "S3", "LOCAL"}
	cacheModes      = []string{"LOCAL_SOURCE_CACHE", "LOCAL_DOCKER_LAYER_CACHE", "LOCAL_CUSTOM_CACHE"}
	variableTypes   = []string{string(Plaintext), string(ParameterStore), string(SecretsManager)}
	pullCredentials = []string{"CODEBUILD", "SERVICE_ROLE"}
	machineTypes    = []string{"GENERAL", "NVME"}
	fileSystemTypes = []string{"EFS"}
)

// The keys of each section: those of CreateProject, then those that BatchGetProjects and
// CloudFormation's AWS::CodeBuild::Project add.
var (
	projectKeys = []string{
		"name", "description", "source", "secondarySources", "sourceVersion", "secondarySourceVersions",
		"artifacts", "secondaryArtifacts", "cache", "environment", "serviceRole", "timeoutInMinutes",
		"queuedTimeoutInMinutes", "encryptionKey", "tags", "vpcConfig", "badgeEnabled", "logsConfig",
		"fileSystemLocations", "buildBatchConfig", "concurrentBuildLimit", "autoRetryLimit",
		"arn", "badge", "created", "lastModified", "webhook", "projectVisibility", "publicProjectAlias",
		"resourceAccessRole",
		"triggers", "visibility",
	}
	environmentKeys = []string{
		"type", "image", "computeType", "computeConfiguration", "fleet", "environmentVariables",
		"privilegedMode", "certificate", "registryCredential", "imagePullCredentialsType", "dockerServer",
		"hostKernel",
	}
	computeKeys    = []string{"vCpu", "memory", "disk", "machineType", "instanceType"}
	variableKeys   = []string{"name", "value", "type"}
	credentialKeys = []string{"credential", "credentialProvider"}
	sourceKeys     = []string{
		"type", "location", "gitCloneDepth", "gitSubmodulesConfig", "buildspec", "auth",
		"reportBuildStatus", "buildStatusConfig", "insecureSsl", "sourceIdentifier",
	}
	submodulesKeys = []string{"fetchSubmodules"}
	versionKeys    = []string{"sourceIdentifier", "sourceVersion"}
	artifactsKeys  = []string{
		"type", "location", "path", "namespaceType", "name", "packaging", "overrideArtifactName",
		"encryptionDisabled", "artifactIdentifier", "bucketOwnerAccess",
	}
	cacheKeys      = []string{"type", "location", "modes", "cacheNamespace"}
	fileSystemKeys = []string{"type", "location", "mountPoint", "identifier", "mountOptions"}
	logsKeys       = []string{"cloudWatchLogs", "s3Logs"}
	cloudWatchKeys = []string{"status", "groupName", "streamName"}
)
