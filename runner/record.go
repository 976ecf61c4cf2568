package runner

import (
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/reports"
)

// Status is the state of a build or a phase, spelled as in the service.
type Status string

// The statuses (documented).
const (
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Fault     Status = "FAULT"
	TimedOut  Status = "TIMED_OUT"
	Stopped   Status = "STOPPED"
)

// IsOmitted reports whether a phase with the status did not run in this build.
func (s Status) IsOmitted() bool {
	return s == "" || s == LeftOut || s == RestoredStatus
}

// PhaseType names a phase, spelled as in the service.
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

// Record is the result of a build. As JSON it has the shape of an entry of BatchGetBuilds.
// All its texts are masked. A named string type, such as Status, is for constants of the
// program only: Mask does not change it.
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

	// Fields that the service does not have.
	Kept      bool            `json:"containerKept,omitempty"`
	StateKept bool            `json:"failedStateKept,omitempty"` // the build can go on at its failed command
	Commands  []CommandRecord `json:"commands"`
	Artifacts []Output        `json:"artifacts"`
	Reports   []Output        `json:"reports"`
	Failures  []Failure       `json:"failures,omitempty"` // failed commands, the first one first
	Commit    *Commit         `json:"commit,omitempty"`   // nil outside of a git repository
	Changes   *Changes        `json:"changes,omitempty"`  // nil after success, and if they are not known
	Contents  *Contents       `json:"sourceContents,omitempty"`
	Buildspec *BuildspecText  `json:"buildspec,omitempty"`
	Machine   *Machine        `json:"machine,omitempty"`
	Cache     *CacheUse       `json:"cache,omitempty"` // nil without a cache
	Usage     *Series         `json:"usage,omitempty"` // nil if it was not measured
	Next      []NextStep      `json:"nextSteps,omitempty"`
	Repro     *Repro          `json:"repro,omitempty"`                 // nil unless it repeats a build of CodeBuild
	Partial   *Partial        `json:"partial,omitempty"`               // parts that are left out; nil for none
	Restored  *Restored       `json:"restored,omitempty"`              // phases that did not run; nil for none
	ByHand    []HandChange    `json:"byHand,omitempty"`                // changes by the user at stops
	Paused    int64           `json:"stoppedInMilliseconds,omitempty"` // time in which the build was stopped
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
	Failure  *Explanation  `json:"failure,omitempty"` // nil if a command failed, or Contexts say everything
	Used     *Used         `json:"used,omitempty"`    // nil if it was not measured
	// Opened are files of the primary source that the phase has opened; nil if they were not recorded.
	Opened *engine.Opened `json:"opened,omitempty"`
}

// Context is the reason why a phase did not succeed; empty after success.
type Context struct {
	StatusCode string `json:"statusCode"`
	Message    string `json:"message"`
}

// Environment describes the environment of a build.
type Environment struct {
	Image         string `json:"image,omitempty"`           // as configured; empty if it was not used
	Configured    string `json:"configuredImage,omitempty"` // the image that was not used
	Type          string `json:"type,omitempty"`
	Privileged    bool   `json:"privilegedMode"`
	ImageID       string `json:"imageId,omitempty"`       // sha256:… of its configuration
	ImageDigest   string `json:"imageDigest,omitempty"`   // of its manifest in a registry
	ImagePlatform string `json:"imagePlatform,omitempty"` // such as linux/amd64
	StandIn       string `json:"standIn,omitempty"`       // local substitute; empty if the image is not replaced
	Place         string `json:"place,omitempty"`         // description of an environment that is not an image

	Variables []EnvironmentVariable `json:"environmentVariables,omitempty"` // sorted by name
}

// EnvironmentVariable is a variable of the build. The value of a variable from a store is
// its reference, that of a secret a placeholder.
type EnvironmentVariable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Type   string `json:"type"`             // PLAINTEXT, PARAMETER_STORE or SECRETS_MANAGER
	Origin string `json:"origin,omitempty"` // such as buildspec.yml:5
	// Hash is the keyed hash of a secret value, by which builds are compared.
	Hash string `json:"valueHash,omitempty"`
}

// NameValue is an exported variable.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CommandRecord is one command that ran.
type CommandRecord struct {
	Phase        PhaseType `json:"phase"`
	At           string    `json:"at"` // see Event.At
	Text         string    `json:"command"`
	Line         int       `json:"line"` // in the buildspec; 0 for a command of the image
	Finally      bool      `json:"finally,omitempty"`
	Attempt      int       `json:"attempt,omitempty"`
	Start        time.Time `json:"startTime,omitzero"`
	Exit         int       `json:"exitStatus"`
	Lost         bool      `json:"lost,omitempty"`   // see Event.Lost
	ByHand       bool      `json:"byHand,omitempty"` // run again, or with another text, by the user
	Milliseconds int64     `json:"durationInMilliseconds"`
	Used         *Used     `json:"used,omitempty"` // nil if it was not measured
}

// Output is an artifact, or the files of a report group, in the output directory.
type Output struct {
	Name  string `json:"name"`          // identifier of secondary artifacts, or the report group
	Dir   string `json:"directory"`     // below the output directory
	Zip   string `json:"zip,omitempty"` // archive of the same files, below the output directory; empty if not packed
	Files []File `json:"files"`
	// Report has the totals of a report group; nil for artifacts.
	Report *reports.Report `json:"report,omitempty"`
}

// File is one file of an Output.
type File struct {
	Path string `json:"path"` // below Dir
	Size int64  `json:"size"` // bytes
}

// Size returns the total size of the files, in bytes.
func (o Output) Size() int64 {
	var sum int64
	for _, f := range o.Files {
		sum += f.Size
	}
	return sum
}
