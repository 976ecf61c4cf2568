package runner

import (
	"fmt"
	"time"
)

// Identity identifies a build.
type Identity struct {
	Project     string // the project's name
	UUID        string
	Number      int    // of the build in its project
	ProjectUUID string // the same for all builds of the project
	Region      string
	Account     string // twelve digits
	Initiator   string
	Start       time.Time
}

// BuildID returns the build's ID: the project's name and the UUID.
func (i Identity) BuildID() string { return i.Project + ":" + i.UUID }

// ARN returns the build's ARN.
func (i Identity) ARN() string { return i.arn("build/" + i.BuildID()) }

func (i Identity) arn(resource string) string {
	return fmt.Sprintf("arn:aws:codebuild:%s:%s:%s", i.Region, i.Account, resource)
}

// kmsDefault returns the ARN of the key that encrypts artifacts by default.
func (i Identity) kmsDefault() string {
	return fmt.Sprintf("arn:aws:kms:%s:%s:alias/aws/s3", i.Region, i.Account)
}

func (i Identity) consoleURL() string {
	return fmt.Sprintf("https://%s.console.aws.amazon.com/codebuild/home?region=%s#/builds/%s/view/new",
		i.Region, i.Region, i.BuildID())
}
