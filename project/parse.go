package project

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Parse reads a project document, JSON or YAML: a CreateProject request, what
// CreateProject or UpdateProject answers ({"project": {...}}), what
// BatchGetProjects answers ({"projects": [...]}, where name chooses among
// several), or the Properties of a CloudFormation AWS::CodeBuild::Project.
// file is only named in problems. What could be read is returned even when
// problems were found.
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

// unwrap returns the project inside what the service or CloudFormation puts
// around one.
func (r *reader) unwrap(root node, name string) (node, bool) {
	known := len(root.Content) == 0
	for _, f := range root.fields() {
		switch f.name {
		case "project", "properties":
			return r.mapping(node{Node: f.value.Node})
		case "projects":
			return r.choose(root, f.value, name)
		case "phases":
			r.problem(diag.Error, f.key, `found "phases", a key of a buildspec; expected a project, as CreateProject takes it`)
			return root, false
		case "resources":
			r.problem(diag.Error, f.key, "found a whole CloudFormation template; expected the Properties of one AWS::CodeBuild::Project")
			return root, false
		}
		known = known || slices.Contains(projectKeys, f.name)
	}
	if !known {
		r.problem(diag.Error, root, "found no key of a project; expected %s and so on", strings.Join(projectKeys[:3], ", "))
	}
	return root, known
}

// choose returns the project that is meant of those BatchGetProjects answered.
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
		r.problem(diag.Error, list, "found no project in here%s", notFound(root))
	case name == "":
		r.problem(diag.Error, list, "found %d projects; choose one by its name: %s", len(names), quoted(names))
	default:
		r.problem(diag.Error, list, "found no project %s; expected one of %s", shown(name), quoted(names))
	}
	return list, false
}

// notFound repeats which names the service was asked for in vain.
func notFound(root node) string {
	var names []string
	for _, item := range root.child("projectsNotFound").children() {
		names = append(names, item.Value)
	}
	if len(names) == 0 {
		return "; expected one, as batch-get-projects prints it"
	}
	return "; the service does not know " + quoted(names) + ": check name, account and region"
}

// project reads the top of the document.
func (r *reader) project(n node) Project {
	var p Project
	for _, f := range r.entries(n) {
		switch f.name {
		case "name":
			p.Name = r.aside(f.value)
		case "description":
			p.Description = r.aside(f.value)
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
			p.ServiceRole = r.aside(f.value)
		case "encryptionKey":
			p.EncryptionKey = r.aside(f.value)
		case "timeoutInMinutes":
			p.Timeout = r.minutes(f.value, 5, 2160)
		case "queuedTimeoutInMinutes":
			p.QueuedTimeout = r.minutes(f.value, 5, 480)
		case "concurrentBuildLimit": // UpdateProject takes a limit away with -1
			p.ConcurrentBuildLimit = r.number(f.value, bounds{least: -1, most: math.MaxInt32})
		case "autoRetryLimit":
			p.AutoRetryLimit = r.number(f.value, bounds{least: 0, most: 10})
		case "logsConfig":
			p.LogStreamPrefix = r.logs(f.value)
		case "tags", "vpcConfig", "badgeEnabled", "buildBatchConfig",
			"arn", "badge", "created", "lastModified", "webhook", "projectVisibility",
			"publicProjectAlias", "resourceAccessRole", "triggers", "visibility":
			// These change nothing about one build on this machine.
		default:
			r.unknown(f, projectKeys)
		}
	}
	r.checkVersions(n.child("secondarySourceVersions"), p.Secondary)
	return p
}

// minutes reads a time limit. Its range is the API reference's.
func (r *reader) minutes(n node, least, most int) time.Duration {
	return time.Duration(r.number(n, bounds{least, most, " minutes"})) * time.Minute
}

// logs reads logsConfig; only the prefix of the log stream's name matters.
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

func (r *reader) cloudWatchLogs(n node) (prefix string) {
	for _, f := range r.entries(n) {
		switch f.name {
		case "streamName":
			prefix = r.aside(f.value)
		case "status", "groupName":
		default:
			r.unknown(f, cloudWatchKeys)
		}
	}
	return prefix
}
