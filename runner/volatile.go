package runner

import "slices"

// volatile are the variables that belong to one run of this program and not to the state that
// commands have built up. A build that goes on in another process gets them anew, unless a command
// has changed them. This is the only list of them.
var volatile = []string{
	"CODEBUILD_AUTH_TOKEN", "CODEBUILD_BUILD_ARN", "CODEBUILD_BUILD_ID", "CODEBUILD_BUILD_NUMBER",
	"CODEBUILD_BUILD_URL", "CODEBUILD_LOG_PATH", "CODEBUILD_RESOLVED_SOURCE_VERSION", "CODEBUILD_START_TIME",

	"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",

	"ALL_PROXY", "FTP_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
	"all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy",
}

// ownOfShell are variables that a shell sets for itself. Some of them cannot be set.
var ownOfShell = []string{"BASHOPTS", "BASH_VERSINFO", "EUID", "PPID", "PWD", "SHELLOPTS", "SHLVL", "UID", "_"}

func isVolatile(name string) bool { return slices.Contains(volatile, name) }
