package runner

import (
	"time"

	"github.com/buildlocal/buildlocal/reports"
)

// Status is the state of a build or a phase, in the service's words.
type Status string

// The statuses (documented).
const (
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Fault     Status = "FAULT"
	TimedOut  Status = "TIMED_OUT"
	Stopped   Status = "STOPPED"
)

// PhaseType names a phase, in the service's words.
type PhaseType string

// The phases, in their order (documented).
const (
	Submitted       PhaseType = "SUBMITTED"
	Queued          PhaseType = "QUEUED"
	Provisioning    PhaseType = "PROVISIONING"
	DownloadSource  PhaseType = "DOWNLOAD_SOURCE"
	Install         PhaseType = "INSTALL"
	PreBuild        PhaseType = "PRE_BUILD"
	Build           PhaseType = "BUILD"
	PostBuild       PhaseType = "POST_BUILD"
	UploadArtifacts PhaseType = "UPLOAD_ARTIFACTS"
	Finalizing      PhaseType = "FINALIZING"
	Completed       PhaseType = "COMPLETED"
)

// Status codes of a phase's context (observed).
const (
	CommandError = "COMMAND_EXECUTION_ERROR"
	YAMLError    = "YAML_FILE_ERROR"
	ClientError  = "CLIENT_ERROR"
	TimeoutError = "BUILD_TIMED_OUT"
	PullError    = "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE"
)

// Record is what happened in a build. As JSON it has the shape of an entry of
// BatchGetBuilds.
type Record struct {
	ID              string        `json:"id"`
	ARN             string        `json:"arn"`
	Number          int           `json:"buildNumber"`
	Project         string        `json:"projectName"`
	Start           time.Time     `json:"startTime"`
	End             time.Time     `json:"endTime"`
	Complete        bool          `json:"buildComplete"`
	Status          Status        `json:"buildStatus"`
	CurrentPhase    PhaseType     `json:"currentPhase"`
	Initiator       string        `json:"initiator"`
	SourceVersion   string        `json:"sourceVersion,omitempty"`
	ResolvedVersion string        `json:"resolvedSourceVersion,omitempty"`
	TimeoutMinutes  float64       `json:"timeoutInMinutes"`
	Phases          []PhaseRecord `json:"phases"`
	Environment     Environment   `json:"environment"`
	Exported        []NameValue   `json:"exportedEnvironmentVariables"`
	ReportARNs      []string      `json:"reportArns,omitempty"`

	// What the service has no field for.
	Kept      bool            `json:"containerKept,omitempty"`
	Commands  []CommandRecord `json:"commands"`
	Artifacts []Output        `json:"artifacts"`
	Reports   []Output        `json:"reports"`
}

// PhaseRecord is one phase that has ended.
type PhaseRecord struct {
	Type     PhaseType     `json:"phaseType"`
	Status   Status        `json:"phaseStatus,omitempty"`
	Start    time.Time     `json:"startTime"`
	End      time.Time     `json:"endTime,omitzero"`
	Seconds  int64         `json:"durationInSeconds"`
	Contexts []Context     `json:"contexts,omitempty"`
	Duration time.Duration `json:"-"`
	Used     *Used         `json:"used,omitempty"` // nil where it was not measured
}

// Context says why a phase ended as it did; it is empty after success.
type Context struct {
	StatusCode string `json:"statusCode"`
	Message    string `json:"message"`
}

// Environment is where the build ran.
type Environment struct {
	Image         string `json:"image"`
	Type          string `json:"type,omitempty"`
	Privileged    bool   `json:"privilegedMode"`
	ImageID       string `json:"imageId,omitempty"`       // sha256:… of its configuration
	ImageDigest   string `json:"imageDigest,omitempty"`   // by which a registry has it
	ImagePlatform string `json:"imagePlatform,omitempty"` // such as linux/amd64
	StandIn       string `json:"standIn,omitempty"`       // the image that stands for it here; empty for itself
	Place         string `json:"place,omitempty"`         // where it ran, for a person; empty for a container of the image

	Variables []EnvironmentVariable `json:"environmentVariables,omitempty"` // sorted by name
}

// EnvironmentVariable is a variable of the build. Of one from a store the value is the
// name that it has there, and one that is secret has stars.
type EnvironmentVariable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Type   string `json:"type"`             // PLAINTEXT, PARAMETER_STORE or SECRETS_MANAGER
	Origin string `json:"origin,omitempty"` // such as buildspec.yml:5
}

// NameValue is an exported variable.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CommandRecord is one command that ran.
type CommandRecord struct {
	Phase        PhaseType `json:"phase"`
	Text         string    `json:"command"`
	Line         int       `json:"line"` // in the buildspec; 0 for a command of the image
	Exit         int       `json:"exitStatus"`
	Milliseconds int64     `json:"durationInMilliseconds"`
	Used         *Used     `json:"used,omitempty"` // nil where it was not measured
}

// Output is a set of files the build left.
type Output struct {
	Name  string `json:"name"`          // identifier of secondary artifacts, or the report group
	Dir   string `json:"directory"`     // below the build's own
	Zip   string `json:"zip,omitempty"` // the same as an archive, below the build's own; empty for none
	Files []File `json:"files"`
	// Report has the sums of a report group's report; nil for artifacts.
	Report *reports.Report `json:"report,omitempty"`
}

// File is one file of an Output.
type File struct {
	Path string `json:"path"` // below Dir
	Size int64  `json:"size"` // bytes
}

// Size is the sum of the files, in bytes.
func (o Output) Size() int64 {
	var sum int64
	for _, f := range o.Files {
		sum += f.Size
	}
	return sum
}
