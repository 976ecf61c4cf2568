package project

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// Build is a build that CodeBuild has run: the API's Build, reduced to the fields with an effect on a
// local build, and those that describe its end.
//
// Source: AWS CodeBuild API reference, the data type Build, and the user guide's page "Build
// notifications input format reference" for events.
type Build struct {
	ID        string // project:uuid
	ARN       string
	Number    int
	Status    string // such as FAILED
	Initiator string
	Start     time.Time // zero if it is not known
	Resolved  string    // resolvedSourceVersion: the commit that was built; may be empty
	Phases    []BuildPhase
	VPC       string // ID; empty without one
	LogGroup  string // of CloudWatch Logs; may be empty
	LogStream string

	// Project has the settings of the build: those of its project with the overrides of its start.
	Project Project
}

// BuildPhase is a phase that has ended.
type BuildPhase struct {
	Type     string // such as PRE_BUILD
	Status   string // such as FAILED; may be empty
	Contexts []BuildContext
}

// BuildContext says why a phase did not succeed.
type BuildContext struct{ Code, Message string }

// ParseBuild parses the record of a build in JSON: a Build of the API, a list of them, a response of
// BatchGetBuilds, or the event "CodeBuild Build State Change" of EventBridge. The id selects one of
// several builds; without it, the only one that has failed is used. Unknown fields are ignored, because
// the service adds some. The Build may only be used if there are no problems, all of which are errors.
func ParseBuild(file string, text []byte, id string) (Build, diag.List) {
	r := &reader{findings{file: file}}
	var b Build
	if len(text) > maxSize {
		r.at(diag.Error, place{}, "the record has %d bytes; the maximum is %d", len(text), maxSize).
			Hint = "select the build: aws codebuild batch-get-builds --ids ID"
	} else if len(strings.TrimSpace(string(text))) == 0 {
		r.at(diag.Error, place{}, "the record is empty").Hint = recordHint
	} else if root, ok := r.root(text); ok {
		if n, ok := r.unwrapBuild(root, id); ok {
			b = r.build(n)
		}
	}
	var errs diag.List // warnings are about keys that no user wrote
	for _, p := range r.list() {
		if p.Severity == diag.Error {
			errs = append(errs, p)
		}
	}
	return b, errs
}

// recordHint says where a record comes from.
const recordHint = "use the output of: aws codebuild batch-get-builds --ids ID"

// unwrapBuild returns the build inside of a response, a list or an event.
func (r *reader) unwrapBuild(root node, id string) (node, bool) {
	if root.Kind == yaml.SequenceNode {
		return r.chooseBuild(root, root, id)
	}
	if root.Kind != yaml.MappingNode {
		r.problem(diag.Error, root, "the record of a build must be a mapping, not %s", root.kind()).Hint = recordHint
		return root, false
	}
	for _, f := range root.fields() {
		switch f.name {
		case "build":
			return r.mapping(node{Node: f.value.Node})
		case "builds":
			return r.chooseBuild(root, f.value, id)
		case "buildBatches":
			r.chooseBatch(f.value)
			return root, false
		case "detail":
			return r.event(root, f.value)
		case "projects":
			r.problem(diag.Error, f.key, "these are projects, not builds").Hint = recordHint
			return root, false
		}
	}
	if root.child("id").null() && root.child("arn").null() || root.child("source").null() {
		r.problem(diag.Error, root, "not the record of a build: it has no id or no source").Hint = recordHint
		return root, false
	}
	return root, true
}

// chooseBuild returns the selected build of a list.
func (r *reader) chooseBuild(root, list node, id string) (node, bool) {
	var failed []node
	var names []string
	items := r.items(list)
	for _, item := range items {
		name := item.child("id").Value
		if id != "" && (name == id || item.child("arn").Value == id) || len(items) == 1 && id == "" {
			return r.mapping(node{Node: item.Node})
		}
		names = append(names, name)
		if status := item.child("buildStatus").Value; status != "SUCCEEDED" && status != "IN_PROGRESS" {
			failed = append(failed, item)
		}
	}
	switch {
	case len(items) == 0:
		r.problem(diag.Error, list, "the list has no builds").Hint = r.notFoundBuilds(root)
	case id != "":
		r.problem(diag.Error, list, "no build %s in the list", shown(id)).Hint = "use one of " + quoted(names)
	case len(failed) == 1:
		return r.mapping(node{Node: failed[0].Node})
	default:
		r.problem(diag.Error, list, "the list has %d builds, of which %d failed", len(names), len(failed)).
			Hint = "select one with --id: " + quoted(names)
	}
	return list, false
}

// notFoundBuilds returns a hint with the builds that CodeBuild did not find.
func (r *reader) notFoundBuilds(root node) string {
	var names []string
	for _, item := range root.child("buildsNotFound").children() {
		names = append(names, item.Value)
	}
	if len(names) == 0 {
		return recordHint
	}
	return "CodeBuild did not find " + quoted(names) + ": check the ID, account and region; builds are kept for a year"
}

// chooseBatch reports the failed builds of batches, whose records are not in the response.
func (r *reader) chooseBatch(list node) {
	var failed []string
	for _, batch := range r.items(list) {
		for _, group := range batch.child("buildGroups").children() {
			summary := group.child("currentBuildSummary")
			arn := summary.child("arn").Value
			if status := summary.child("buildStatus").Value; arn != "" && status != "SUCCEEDED" && status != "IN_PROGRESS" {
				failed = append(failed, arn[strings.LastIndexByte(arn, '/')+1:])
			}
		}
	}
	p := r.problem(diag.Error, list, "this is a batch, which has the names of its builds only")
	switch len(failed) {
	case 0:
		p.Hint = "none of its builds has failed"
	default:
		p.Hint = "select one of its failed builds: aws codebuild batch-get-builds --ids " + strings.Join(failed, " ")
	}
}

// event returns the build of an event, with the names of the API.
func (r *reader) event(root, detail node) (node, bool) {
	if kind := root.child("detail-type").Value; kind != "CodeBuild Build State Change" {
		r.problem(diag.Error, root, "the event %s has no record of a build", shown(kind)).
			Hint = "use an event of the type CodeBuild Build State Change"
		return root, false
	}
	n, ok := r.mapping(node{Node: detail.Node})
	if !ok {
		return n, false
	}
	more := n.child("additional-information")
	if more.Kind != yaml.MappingNode {
		r.problem(diag.Error, n, "the event has no additional-information").Hint = recordHint
		return n, false
	}
	build := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
	for _, part := range []node{n, more} {
		for i := 0; i+1 < len(part.Content); i += 2 {
			key, value := *part.Content[i], part.Content[i+1]
			if name, known := eventNames[key.Value]; known {
				key.Value = name
			}
			build.Content = append(build.Content, &key, camelCased(value))
		}
	}
	return node{Node: build}, true
}

// eventNames are keys of events with other words than those of the API.
var eventNames = map[string]string{
	"build-id": "arn", "build-status": "buildStatus", "project-name": "projectName", "source-version": "sourceVersion",
	"build-start-time": "startTime", "timeout-in-minutes": "timeoutInMinutes", "build-number": "buildNumber",
	"resolved-source-version": "resolvedSourceVersion", "vpc-config": "vpcConfig",
}

// camelCased returns a copy of a value of an event in which keys are written as in the API:
// phase-type is phaseType. The input is a tree without aliases, as JSON is.
func camelCased(n *yaml.Node) *yaml.Node {
	c := *n
	c.Content = make([]*yaml.Node, len(n.Content))
	for i, child := range n.Content {
		c.Content[i] = camelCased(child)
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			continue
		}
		words := strings.Split(child.Value, "-")
		for w := 1; w < len(words); w++ {
			if words[w] != "" {
				words[w] = strings.ToUpper(words[w][:1]) + words[w][1:]
			}
		}
		c.Content[i].Value = strings.Join(words, "")
	}
	return &c
}

// build reads a Build of the API.
func (r *reader) build(n node) Build {
	var b Build
	for _, f := range r.entries(n) {
		switch f.name {
		case "id":
			b.ID = r.text(f.value)
		case "arn":
			b.ARN = r.text(f.value)
		case "buildStatus":
			b.Status = r.text(f.value)
		case "initiator":
			b.Initiator = r.text(f.value)
		case "startTime":
			b.Start = parseTime(r.text(f.value))
		case "resolvedSourceVersion":
			b.Resolved = r.text(f.value)
		case "buildNumber":
			number, _ := strconv.ParseFloat(r.text(f.value), 64) // events have 5.0
			b.Number = int(number)
		case "phases":
			b.Phases = r.phases(f.value)
		case "vpcConfig":
			b.VPC = f.value.child("vpcId").Value
		case "logs":
			b.LogGroup, b.LogStream = f.value.child("groupName").Value, f.value.child("streamName").Value
		}
	}
	if b.ID == "" {
		b.ID = b.ARN[strings.LastIndexByte(b.ARN, '/')+1:]
	}
	b.Project = r.projectOf(n)
	return b
}

// projectOf reads the settings of a build, whose names are those of a project.
func (r *reader) projectOf(n node) Project {
	settings := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
	for _, f := range n.fields() {
		switch f.name {
		case "source", "secondarySources", "sourceVersion", "secondarySourceVersions", "environment", "cache",
			"fileSystemLocations", "serviceRole", "encryptionKey":
			key := *f.key.Node
			key.Value = f.name
			settings.Content = append(settings.Content, &key, f.value.Node)
		}
	}
	p := r.project(node{Node: settings})
	p.Name = n.child("projectName").Value
	if minutes, err := strconv.ParseFloat(n.child("timeoutInMinutes").Value, 64); err == nil && minutes >= 5 {
		p.Timeout = time.Duration(minutes) * time.Minute
	}
	return p
}

// phases reads the phases of a build, in the form of the API or of an event.
func (r *reader) phases(n node) []BuildPhase {
	var all []BuildPhase
	for _, item := range r.items(n) {
		p := BuildPhase{Type: item.child("phaseType").Value, Status: item.child("phaseStatus").Value}
		for _, c := range item.child("contexts").children() {
			p.Contexts = append(p.Contexts, BuildContext{c.child("statusCode").Value, c.child("message").Value})
		}
		for _, c := range item.child("phaseContext").children() { // of an event: "CODE: message"
			code, message, _ := strings.Cut(c.Value, ": ")
			p.Contexts = append(p.Contexts, BuildContext{strings.TrimSuffix(code, ":"), message})
		}
		all = append(all, p)
	}
	return all
}

// parseTime reads a time in seconds since 1970, as version 1 of the AWS CLI prints it, in the format
// of RFC 3339, as version 2 does, or in that of events. Other texts are the zero time.
func parseTime(text string) time.Time {
	const most = 1 << 40 // far in the future
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < most {
		return time.UnixMilli(int64(seconds * 1000)).UTC()
	}
	for _, layout := range []string{time.RFC3339Nano, "Jan 2, 2006 3:04:05 PM"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}

// BuildFailure is the first command, or else the first phase, that failed in a build.
type BuildFailure struct {
	Phase   string // such as BUILD; empty if no phase failed
	Command string // its text; empty if it is not known
	Exit    int    // its status; 0 if it is not known
	Message string // of the phase
}

// Failure returns the first failure of the build. The log is that of the build, and may be empty.
func (b Build) Failure(log string) BuildFailure {
	for _, p := range b.Phases {
		if p.Status == "" || p.Status == "SUCCEEDED" {
			continue
		}
		f := BuildFailure{Phase: p.Type}
		for _, c := range p.Contexts {
			if f.Message == "" {
				f.Message = strings.TrimPrefix(fmt.Sprintf("%s: %s", c.Code, c.Message), ": ")
			}
			if f.Command == "" {
				f.Command, f.Exit = cutStatus(c.Message, "Error while executing command: ", ". Reason: exit status ")
			}
		}
		if command, exit := failedInLog(log); command != "" {
			f.Command, f.Exit = command, exit
		}
		return f
	}
	return BuildFailure{}
}

// failedInLog returns the first command that did not succeed, and its status (observed). The lines
// of the service begin with a time.
func failedInLog(log string) (command string, exit int) {
	const begin = "Command did not exit successfully "
	_, rest, found := strings.Cut(log, begin)
	if !found {
		return "", 0
	}
	rest, _, _ = strings.Cut(rest, "\n[Container] ") // the command may have several lines
	return cutStatus(begin+rest, begin, " exit status ")
}

// cutStatus returns the text between two others, and the number after it.
func cutStatus(message, before, between string) (text string, exit int) {
	_, rest, found := strings.Cut(strings.ReplaceAll(message, "\r\n", "\n"), before)
	at := strings.LastIndex(rest, between)
	if !found || at < 0 {
		return "", 0
	}
	number, _, _ := strings.Cut(rest[at+len(between):], "\n")
	exit, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil {
		return "", 0
	}
	return rest[:at], exit
}
