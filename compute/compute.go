// Package compute names the machines builds run on: the service's environment
// types and compute types.
package compute

import (
	"slices"
	"strings"
)

// EnvironmentTypes and Types are the words of the API model
// (aws-sdk-go-v2/service/codebuild v1.69.0), read in November 2026. The service
// adds one now and then.
var (
	EnvironmentTypes = []string{
		"LINUX_CONTAINER", "ARM_CONTAINER", "LINUX_GPU_CONTAINER", "LINUX_LAMBDA_CONTAINER",
		"ARM_LAMBDA_CONTAINER", "LINUX_EC2", "ARM_EC2", "WINDOWS_CONTAINER",
		"WINDOWS_SERVER_2019_CONTAINER", "WINDOWS_SERVER_2022_CONTAINER", "WINDOWS_EC2", "MAC_ARM",
	}
	Types = []string{
		"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE",
		"BUILD_GENERAL1_XLARGE", "BUILD_GENERAL1_2XLARGE",
		"BUILD_LAMBDA_1GB", "BUILD_LAMBDA_2GB", "BUILD_LAMBDA_4GB", "BUILD_LAMBDA_8GB", "BUILD_LAMBDA_10GB",
		"ATTRIBUTE_BASED_COMPUTE", "CUSTOM_INSTANCE_TYPE",
	}
)

var (
	everySize   = Types[0:5]
	lambdaSizes = Types[5:10]
	// XLARGE is Windows Server 2022's only.
	windowsSizes = []string{"BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_2XLARGE"}
	onDemand     = Types[0:10] // the others are for fleets
)

// offered says which compute types an environment type takes on demand, from
// the user guide, "Build environment compute modes and types" (2025).
var offered = map[string][]string{
	"LINUX_CONTAINER":               everySize,
	"ARM_CONTAINER":                 everySize,
	"ARM_EC2":                       everySize,
	"LINUX_EC2":                     {"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_2XLARGE"},
	"LINUX_GPU_CONTAINER":           {"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_LARGE"},
	"LINUX_LAMBDA_CONTAINER":        lambdaSizes,
	"ARM_LAMBDA_CONTAINER":          lambdaSizes,
	"WINDOWS_CONTAINER":             windowsSizes,
	"WINDOWS_SERVER_2019_CONTAINER": windowsSizes,
	"WINDOWS_SERVER_2022_CONTAINER": everySize[1:],
	"WINDOWS_EC2":                   windowsSizes,
}

// Offered returns the compute types an environment type takes on demand, and
// whether a compute type is one of them. An environment type or a compute type
// that is not known, and the two compute types of fleets, are not judged: ok.
func Offered(environment, compute string) (sizes []string, ok bool) {
	sizes = offered[environment]
	return sizes, sizes == nil || !slices.Contains(onDemand, compute) || slices.Contains(sizes, compute)
}

// Machine is how large a machine is: processors, and memory in bytes. Zero is not
// known.
type Machine struct {
	VCPU   int
	Memory int64
}

const gib = 1 << 30

// machines are the sizes of x86 Linux; others are in exceptions. From the user
// guide, "Build environment compute modes and types" (2025).
var machines = map[string]Machine{
	"BUILD_GENERAL1_SMALL": {2, 4 * gib}, "BUILD_GENERAL1_MEDIUM": {4, 8 * gib}, "BUILD_GENERAL1_LARGE": {8, 16 * gib},
	"BUILD_GENERAL1_XLARGE": {36, 72 * gib}, "BUILD_GENERAL1_2XLARGE": {72, 144 * gib},
	"BUILD_LAMBDA_1GB": {0, 1 * gib}, "BUILD_LAMBDA_2GB": {0, 2 * gib}, "BUILD_LAMBDA_4GB": {0, 4 * gib},
	"BUILD_LAMBDA_8GB": {0, 8 * gib}, "BUILD_LAMBDA_10GB": {0, 10 * gib},
}

// exceptions are the sizes of other environment types.
var exceptions = map[string]map[string]Machine{
	"ARM_CONTAINER":       {"BUILD_GENERAL1_XLARGE": {32, 64 * gib}, "BUILD_GENERAL1_2XLARGE": {48, 96 * gib}},
	"ARM_EC2":             {"BUILD_GENERAL1_XLARGE": {32, 64 * gib}, "BUILD_GENERAL1_2XLARGE": {48, 96 * gib}},
	"LINUX_GPU_CONTAINER": {"BUILD_GENERAL1_SMALL": {4, 16 * gib}, "BUILD_GENERAL1_LARGE": {32, 255 * gib}},
}

// Size returns how large the machine of a compute type is.
func Size(environment, compute string) Machine {
	if m, known := exceptions[environment][compute]; known {
		return m
	}
	return machines[compute]
}

// EnvironmentOf returns the environment type of a build whose project says none: what
// its compute type or its image is for. It is "" where they are for none of Lambda and
// ARM: that is the usual one.
func EnvironmentOf(compute, image string) string {
	curated := strings.HasPrefix(image, "aws/codebuild/") || strings.HasPrefix(image, "public.ecr.aws/codebuild/")
	arm := curated && strings.Contains(image, "-aarch64-")
	switch lambda := strings.HasPrefix(compute, "BUILD_LAMBDA_") || curated && strings.Contains(image, "-lambda-standard:"); {
	case lambda && arm:
		return "ARM_LAMBDA_CONTAINER"
	case lambda:
		return "LINUX_LAMBDA_CONTAINER"
	case arm:
		return "ARM_CONTAINER"
	}
	return ""
}

// IsLambda reports whether an environment type is on Lambda.
func IsLambda(environment string) bool { return strings.HasSuffix(environment, "_LAMBDA_CONTAINER") }

// IsARM reports whether builds of an environment type run on ARM, as arm64.
func IsARM(environment string) bool { return strings.HasPrefix(environment, "ARM_") }

// NotImitated says what of an environment type a build here does not have; "" for
// nothing.
func NotImitated(environment string) string {
	switch {
	case strings.HasPrefix(environment, "WINDOWS"), strings.HasPrefix(environment, "MAC"):
		return "The project's environment type is " + environment + ", which is not imitated: the build runs on Linux."
	case strings.Contains(environment, "GPU"):
		return "The project's environment type is " + environment + ": the build has no GPU here."
	}
	return ""
}

// Platform returns the platform of an environment type's images, such as linux/arm64; ""
// for none and for those that are not Linux.
func Platform(environment string) string {
	switch {
	case IsARM(environment):
		return "linux/arm64"
	case strings.HasPrefix(environment, "LINUX_"):
		return "linux/amd64"
	}
	return ""
}
