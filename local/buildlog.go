package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/buildlocal/buildlocal/aws"
	"github.com/buildlocal/buildlocal/internal/regular"
	"github.com/buildlocal/buildlocal/project"
)

// The limits of files about a build of CodeBuild, in bytes. A record has its own limit with a better
// message.
const (
	maxRecordFile = 2 << 20
	maxLogFile    = 64 << 20
)

// ReadLog reads the log of a build from a file: its text, or the output of aws logs get-log-events.
func ReadLog(ctx context.Context, name string) (string, error) {
	text, err := regular.ReadNamed(ctx, name, maxLogFile)
	if err != nil {
		return "", Usagef("--log: %w", err)
	}
	var output struct {
		Events []struct {
			Message string `json:"message"`
		} `json:"events"`
	}
	if json.Unmarshal(text, &output) != nil || output.Events == nil {
		return string(text), nil
	}
	var b strings.Builder
	for _, e := range output.Events {
		b.WriteString(strings.TrimRight(e.Message, "\n") + "\n")
	}
	return b.String(), nil
}

// ReadBuild reads the record of a build from a file, or from the standard input for "-". The id selects
// one of several builds. The error is an InputError or a diag.List.
func (h *Host) ReadBuild(ctx context.Context, name, id string) (project.Build, error) {
	var text []byte
	var err error
	shown := name
	if name == "-" {
		shown = "standard input"
		text, err = regular.WithContext(ctx, func() ([]byte, error) {
			return io.ReadAll(io.LimitReader(h.Stdin, maxRecordFile))
		})
	} else {
		text, err = regular.ReadNamed(ctx, name, maxRecordFile)
	}
	var large *regular.TooLargeError
	if errors.As(err, &large) {
		return project.Build{}, InputError{fmt.Errorf("%w\nselect the build: aws codebuild batch-get-builds --ids ID", err)}
	}
	if err != nil {
		return project.Build{}, Usagef("read the record of the build: %w", err)
	}
	b, problems := project.ParseBuild(shown, text, id)
	return b, problems.Err()
}

// BuildID is the name of a build in CodeBuild.
type BuildID struct {
	ID     string // project:uuid
	Region string // "" if the name does not have it
}

var (
	idForm  = lazyRegexp(`^[A-Za-z0-9][A-Za-z0-9_-]*:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	arnForm = lazyRegexp(`^arn:[a-z-]+:codebuild:([a-z0-9-]+):[0-9]*:build/(\S+)$`)
	urlForm = lazyRegexp(`^https://(?:([a-z0-9-]+)\.)?console\.\S+/build/([^/?#]+)`)
)

// ParseBuildID parses an ID, an ARN or the URL of a page of the console.
func ParseBuildID(text string) (BuildID, bool) {
	id := BuildID{ID: text}
	if m := arnForm().FindStringSubmatch(text); m != nil {
		id = BuildID{m[2], m[1]}
	} else if m := urlForm().FindStringSubmatch(text); m != nil {
		id = BuildID{strings.NewReplacer("%3A", ":", "%3a", ":").Replace(m[2]), m[1]}
		if _, region, found := strings.Cut(text, "region="); found {
			id.Region, _, _ = strings.Cut(region, "&")
			id.Region, _, _ = strings.Cut(id.Region, "#")
		}
	}
	return id, idForm().MatchString(id.ID)
}

// FetchBuild asks the user's AWS account for the record of a build, and for its log, which may be
// empty. The request must allow that.
func (h *Host) FetchBuild(ctx context.Context, r *Request, id BuildID) (b project.Build, log string, err error) {
	if !r.looksUp() {
		return b, "", Usagef("%s: AWS is asked only with --aws\n"+
			"without it: aws codebuild batch-get-builds --ids %s | buildlocal repro -", id.ID, id.ID)
	}
	name, _, _ := strings.Cut(id.ID, ":")
	access, err := h.openAWS(ctx, r, name)
	if err != nil {
		return b, "", err
	}
	text, err := access.account.Builds(ctx, id.Region, id.ID, h.Now())
	if err != nil {
		return b, "", err
	}
	b, problems := project.ParseBuild(id.ID, text, "")
	if err := problems.Err(); err != nil {
		return b, "", err
	}
	return b, h.fetchLog(ctx, access.account, id, b), nil
}

// fetchLog returns the log of a build. Without it, the record still names the failed phase.
func (h *Host) fetchLog(ctx context.Context, account *aws.Account, id BuildID, b project.Build) string {
	if b.LogGroup == "" || b.LogStream == "" {
		return ""
	}
	log, err := account.Log(ctx, id.Region, b.LogGroup, b.LogStream, h.Now())
	if err != nil {
		h.Warnf("warning: the log of the build: %v", err)
	}
	return log
}
