package project

// The words CreateProject knows, from the enumerations of the API model
// (aws-sdk-go-v2/service/codebuild v1.69.0), read in November 2026.
var (
	environmentTypes = []string{
		"LINUX_CONTAINER", "ARM_CONTAINER", "LINUX_GPU_CONTAINER", "LINUX_LAMBDA_CONTAINER",
		"ARM_LAMBDA_CONTAINER", "LINUX_EC2", "ARM_EC2", "WINDOWS_CONTAINER",
		"WINDOWS_SERVER_2019_CONTAINER", "WINDOWS_SERVER_2022_CONTAINER", "WINDOWS_EC2", "MAC_ARM",
	}
	computeTypes = []string{
		"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE",
		"BUILD_GENERAL1_XLARGE", "BUILD_GENERAL1_2XLARGE",
		"BUILD_LAMBDA_1GB", "BUILD_LAMBDA_2GB", "BUILD_LAMBDA_4GB", "BUILD_LAMBDA_8GB", "BUILD_LAMBDA_10GB",
		"ATTRIBUTE_BASED_COMPUTE", "CUSTOM_INSTANCE_TYPE",
	}
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

var (
	everySize   = computeTypes[0:5]
	lambdaSizes = computeTypes[5:10]
	onDemand    = computeTypes[0:10] // the others are for fleets
)

// computeFor says which compute types an environment type takes on demand, from
// the user guide, "Build environment compute modes and types" (2025). A type
// that is not here, and the two compute types of fleets, are not checked.
var computeFor = map[string][]string{
	"LINUX_CONTAINER":               everySize,
	"ARM_CONTAINER":                 everySize,
	"ARM_EC2":                       everySize,
	"LINUX_EC2":                     {"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_2XLARGE"},
	"LINUX_GPU_CONTAINER":           {"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_LARGE"},
	"LINUX_LAMBDA_CONTAINER":        lambdaSizes,
	"ARM_LAMBDA_CONTAINER":          lambdaSizes,
	"WINDOWS_CONTAINER":             everySize[1:],
	"WINDOWS_SERVER_2019_CONTAINER": everySize[1:],
	"WINDOWS_SERVER_2022_CONTAINER": everySize[1:],
	"WINDOWS_EC2":                   everySize[1:],
}

// The keys of each section: CreateProject's own, then what BatchGetProjects and
// CloudFormation's AWS::CodeBuild::Project add to them.
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
