package project

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Parse parses a project document in JSON or YAML. It accepts a CreateProject request, the
// response of CreateProject or UpdateProject ({"project": {...}}), that of BatchGetProjects
// ({"projects": [...]}, where name selects one of several), and the Properties of a
// CloudFormation AWS::CodeBuild::Project.
//
// file is used in problems only. Parse returns everything that could be read even if there
// are problems; callers must not use it if List.Failed reports an error.
func Parse(file string, text []byte, name string) (Project, diag.List) {
	r := &reader{findings{file: file}}
	var p Project
	if root, ok := r.document(text); ok {
		if n, ok := r.unwrap(root, name); ok {
			p = r.project(n)
		}
	}
	return p, r.list()
}

// unwrap returns the project inside the envelope of an API response or of a CloudFormation
// resource.
func (r *reader) unwrap(root node, name string) (node, bool) {
	// An empty mapping is an empty project, not a document of another kind.
	known := len(root.Content) == 0
	for _, f := range root.fields() {
		switch f.name {
		case "project", "properties":
			return r.mapping(node{Node: f.value.Node})
		case "projects":
			return r.choose(root, f.value, name)
		case "phases":
			r.problem(diag.Error, f.key, `"phases" is a key of a buildspec`).
				Hint = "use a project, in the format of CreateProject"
			return root, false
		// A template has Ref and Fn::Sub, which need the parameters of a stack.
		case "resources":
			r.problem(diag.Error, f.key, "this is a whole CloudFormation template").
				Hint = "use the Properties of one AWS::CodeBuild::Project"
			return root, false
		}
		known = known || slices.Contains(projectKeys, f.name)
	}
	if !known {
		r.problem(diag.Error, root, "no key of a project").
			Hint = "use " + strings.Join(projectKeys[:3], ", ") + " and so on"
	}
	return root, known
}

// choose returns the selected project of a BatchGetProjects response.
func (r *reader) choose(root, list node, name string) (node, bool) {
	items := r.items(list)
	if len(items) == 1 {
		return r.mapping(node{Node: items[0].Node})
	}
	var names []string
	for _, item := range items {
		found := item.child("name").Value
		if found == name && name != "" {
			return r.mapping(node{Node: item.Node})
		}
		names = append(names, found)
	}
	switch {
	case len(items) == 0:
		r.problem(diag.Error, list, "the list has no projects").Hint = notFound(root)
	// Choosing the first of several projects would silently build with the wrong one.
	case name == "":
		r.problem(diag.Error, list, "the list has %d projects", len(names)).Hint = "select one by name: " + quoted(names)
	default:
		r.problem(diag.Error, list, "no project %s in the list", shown(name)).Hint = "use one of " + quoted(names)
	}
	return list, false
}

// notFound returns a hint with the names that CodeBuild did not find.
func notFound(root node) string {
	var names []string
	for _, item := range root.child("projectsNotFound").children() {
		names = append(names, item.Value)
	}
	if len(names) == 0 {
		return "add one, as batch-get-projects prints it"
	}
	return "CodeBuild did not find " + quoted(names) + ": check name, account and region"
}

// project reads the fields of a project. Fields without an effect on a local build are
// accepted and ignored.
func (r *reader) project(n node) Project {
	var p Project
	for _, f := range r.entries(n) {
		switch f.name {
		case "name":
			p.Name = r.optionalText(f.value)
		case "description":
			p.Description = r.optionalText(f.value)
		case "source":
			p.Source = r.source(f.value)
		case "secondarySources":
			p.Secondary = r.secondarySources(f.value)
		case "sourceVersion":
			p.SourceVersion = r.text(f.value)
		case "secondarySourceVersions":
			p.SecondaryVersions = r.sourceVersions(f.value)
		case "artifacts":
			p.Artifacts = r.artifacts(f.value)
		case "secondaryArtifacts":
			p.SecondaryArtifacts = r.secondaryArtifacts(f.value)
		case "cache":
			p.Cache = r.cache(f.value)
		case "environment":
			p.Environment = r.environment(f.value)
		case "fileSystemLocations":
			p.FileSystems = r.fileSystems(f.value)
		case "serviceRole":
			p.ServiceRole = r.optionalText(f.value)
		case "encryptionKey":
			p.EncryptionKey = r.optionalText(f.value)
		case "timeoutInMinutes":
			p.Timeout = r.minutes(f.value, 5, 2160)
		case "queuedTimeoutInMinutes":
			p.QueuedTimeout = r.minutes(f.value, 5, 480)
		case "concurrentBuildLimit": // UpdateProject removes a limit with -1
			p.ConcurrentBuildLimit = r.number(f.value, bounds{least: -1, most: math.MaxInt32})
		case "autoRetryLimit":
			p.AutoRetryLimit = r.number(f.value, bounds{least: 0, most: 10})
		case "logsConfig":
			p.LogStreamPrefix = r.logs(f.value)
		// The second group are fields of responses, which are often pasted as they are.
		case "tags", "vpcConfig", "badgeEnabled", "buildBatchConfig",
			"arn", "badge", "created", "lastModified", "webhook", "projectVisibility",
			"publicProjectAlias", "resourceAccessRole", "triggers", "visibility":
			// These have no effect on a single local build.
		default:
			r.unknown(f, projectKeys)
		}
	}
	// The sources may be after the versions in the document, so this check comes last.
	r.checkVersions(n.child("secondarySourceVersions"), p.Secondary)
	return p
}

// minutes reads a timeout. The range is documented in the API reference.
func (r *reader) minutes(n node, least, most int) time.Duration {
	return time.Duration(r.number(n, bounds{least, most, " minutes"})) * time.Minute
}

// logs reads logsConfig and returns the prefix of the log stream's name, the only part that
// has an effect.
func (r *reader) logs(n node) (prefix string) {
	for _, f := range r.entries(n) {
		switch f.name {
		case "cloudWatchLogs":
			prefix = r.cloudWatchLogs(f.value)
		case "s3Logs":
		default:
			r.unknown(f, logsKeys)
		}
	}
	return prefix
}

// cloudWatchLogs returns the prefix of the log stream's name. The prefix is part of
// CODEBUILD_LOG_PATH.
func (r *reader) cloudWatchLogs(n node) (prefix string) {
	for _, f := range r.entries(n) {
		switch f.name {
		case "streamName":
			prefix = r.optionalText(f.value)
		case "status", "groupName":
		default:
			r.unknown(f, cloudWatchKeys)
		}
	}
	return prefix
}
