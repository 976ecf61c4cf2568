// Package compute describes the compute environments of CodeBuild: environment types, compute
// types, their combinations, and their sizes.
//
// The tables are copied from the API model and the user guide. The package has no access to AWS,
// and unknown types are accepted, because CodeBuild adds new ones from time to time.
package compute

import (
	"slices"
	"strings"
)

// EnvironmentTypes and Types are the enumerations of the API model
// (aws-sdk-go-v2/service/codebuild v1.69.0), as of November 2026.
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

// Subsets of Types for the table offered.
var (
	everySize   = Types[0:5]
	lambdaSizes = Types[5:10]
	// BUILD_GENERAL1_XLARGE is offered for Windows Server 2022 only.
	windowsSizes = []string{"BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE", "BUILD_GENERAL1_2XLARGE"}
	onDemand     = Types[0:10] // the remaining types belong to fleets
)

// offered lists the on-demand compute types of each environment type. Source: "Build environment
// compute modes and types" in the user guide (2025).
var offered = map[string][]string{
	"LINUX_CONTAINER": everySize,
	"ARM_CONTAINER":   everySize,
	"ARM_EC2":         everySize,
	"LINUX_EC2": {"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_MEDIUM", "BUILD_GENERAL1_LARGE",
		"BUILD_GENERAL1_2XLARGE"},
	"LINUX_GPU_CONTAINER":           {"BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_LARGE"},
	"LINUX_LAMBDA_CONTAINER":        lambdaSizes,
	"ARM_LAMBDA_CONTAINER":          lambdaSizes,
	"WINDOWS_CONTAINER":             windowsSizes,
	"WINDOWS_SERVER_2019_CONTAINER": windowsSizes,
	"WINDOWS_SERVER_2022_CONTAINER": everySize[1:],
	"WINDOWS_EC2":                   windowsSizes,
}

// Offered returns the on-demand compute types of an environment type, and whether compute is one
// of them. For unknown types and for the compute types of fleets it returns true.
func Offered(environment, compute string) (sizes []string, ok bool) {
	sizes = offered[environment]
	return sizes, sizes == nil || !slices.Contains(onDemand, compute) || slices.Contains(sizes, compute)
}

// Machine is the size of a machine. A zero field is unknown.
type Machine struct {
	VCPU   int   // number of virtual CPUs
	Memory int64 // bytes
}

const gib = 1 << 30

// machines are the sizes for Linux on x86. Source: "Build environment compute modes and types" in
// the user guide (2025).
var machines = map[string]Machine{
	"BUILD_GENERAL1_SMALL": {2, 4 * gib}, "BUILD_GENERAL1_MEDIUM": {4, 8 * gib}, "BUILD_GENERAL1_LARGE": {8, 16 * gib},
	"BUILD_GENERAL1_XLARGE": {36, 72 * gib}, "BUILD_GENERAL1_2XLARGE": {72, 144 * gib},
	"BUILD_LAMBDA_1GB": {0, 1 * gib}, "BUILD_LAMBDA_2GB": {0, 2 * gib}, "BUILD_LAMBDA_4GB": {0, 4 * gib},
	"BUILD_LAMBDA_8GB": {0, 8 * gib}, "BUILD_LAMBDA_10GB": {0, 10 * gib},
}

// exceptions are the sizes of other environment types, if they differ.
var exceptions = map[string]map[string]Machine{
	"ARM_CONTAINER":       {"BUILD_GENERAL1_XLARGE": {32, 64 * gib}, "BUILD_GENERAL1_2XLARGE": {48, 96 * gib}},
	"ARM_EC2":             {"BUILD_GENERAL1_XLARGE": {32, 64 * gib}, "BUILD_GENERAL1_2XLARGE": {48, 96 * gib}},
	"LINUX_GPU_CONTAINER": {"BUILD_GENERAL1_SMALL": {4, 16 * gib}, "BUILD_GENERAL1_LARGE": {32, 255 * gib}},
}

// Size returns the size of the machine of a compute type. It is zero if the type is unknown.
func Size(environment, compute string) Machine {
	if m, known := exceptions[environment][compute]; known {
		return m
	}
	return machines[compute]
}

// EnvironmentOf returns the environment type of a build whose project does not set one, derived
// from its compute type or its image. It returns "", which means LINUX_CONTAINER, unless these
// are for Lambda or ARM.
func EnvironmentOf(compute, image string) string {
	curated := strings.HasPrefix(image, "aws/codebuild/") || strings.HasPrefix(image, "public.ecr.aws/codebuild/")
	arm := curated && strings.Contains(image, "-aarch64-")
	lambda := strings.HasPrefix(compute, "BUILD_LAMBDA_") || curated && strings.Contains(image, "-lambda-standard:")
	switch {
	case lambda && arm:
		return "ARM_LAMBDA_CONTAINER"
	case lambda:
		return "LINUX_LAMBDA_CONTAINER"
	case arm:
		return "ARM_CONTAINER"
	}
	return ""
}

// IsLambda reports whether builds of an environment type run on Lambda.
func IsLambda(environment string) bool { return strings.HasSuffix(environment, "_LAMBDA_CONTAINER") }

// IsARM reports whether builds of an environment type run on ARM, as arm64.
func IsARM(environment string) bool { return strings.HasPrefix(environment, "ARM_") }

// System returns the operating system that an environment type needs, or "" for Linux.
func System(environment string) string {
	switch {
	case strings.HasPrefix(environment, "WINDOWS"):
		return "Windows"
	case strings.HasPrefix(environment, "MAC"):
		return "macOS"
	}
	return ""
}

// NotImitated returns a note about parts of an environment type that a local build lacks, or "".
func NotImitated(environment string) string {
	switch {
	case System(environment) != "":
		return "The project's environment type is " + environment + ", which is not supported here: the build runs on Linux."
	case strings.Contains(environment, "GPU"):
		return "The project's environment type is " + environment + ": no GPU is available in the build."
	}
	return ""
}

// Platform returns the platform of an environment type's images, such as linux/arm64. It returns
// "" if the type is empty or not a Linux type.
func Platform(environment string) string {
	switch {
	case IsARM(environment):
		return "linux/arm64"
	case strings.HasPrefix(environment, "LINUX_"):
		return "linux/amd64"
	}
	return ""
}
