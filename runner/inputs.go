package runner

import (
	"io"
	"time"

	"github.com/buildlocal/buildlocal/buildspec"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
)

// Source is one source of the build on the host.
type Source struct {
	ID       string // identifier of a secondary source; empty for the primary one
	Repo     string // path of a git remote as in a GOPATH, such as github.com/org/repo
	URL      string
	Version  string // as requested: branch, tag or commit; may be empty
	Resolved string // commit ID; empty outside git
	Digits   string // of the directory src<digits>
	Tree     engine.Tree
	Extra    []Extra // further directories that the source needs
	// Stream writes the tree as a tar stream with names below prefix.
	Stream func(w io.Writer, prefix string) error
	Note   string // one line for the user

	Top, Path string // set by NewPlan: src<digits>, and the source's directory in the build
}

// Extra is a further directory that a source needs, such as the repository of a linked
// worktree.
type Extra struct {
	Tree   engine.Tree
	Stream func(w io.Writer, prefix string) error // see Source.Stream
}

// Inputs are the facts from which NewPlan makes a plan. Zero values mean that a setting is
// not given.
type Inputs struct {
	Spec         *buildspec.Buildspec
	Location     string // of the buildspec in the build: absolute, or below the primary source
	Inline       string // the text of a buildspec that is not a file of the source
	Project      project.Project
	ProjectFile  string
	Overrides    []Override // lowest precedence first
	Image        string     // overrides the project's
	ComputeType  string     // overrides the project's
	Default      string     // image if neither Image nor the project sets one
	StandIns     []StandIn  // substitutes for images
	Digest       string     // required of the image: sha256:…
	Privileged   bool
	Unprivileged bool // overrides the project's privileged mode
	Socket       bool // Docker in the build uses the engine that the build runs on
	Platform     string
	Native       string // platform of the host, to choose the platform of the project's images
	Pull         engine.Pull
	Timeout      time.Duration // overrides the project's
	Identity     Identity
	Sources      []Source // the primary one first

	Host         []project.Variable // proxy variables of the host's environment
	Certificates []byte             // PEM, trusted in addition to the image's
	CABundle     string             // the file of Certificates, for messages
	CredentialID string             // of the credentials endpoint; empty without AWS credentials
	Grant        string             // description of the AWS credentials for the user
	// GitCredentials lets git in the build ask git on the host for credentials, if the
	// buildspec requests a helper.
	GitCredentials bool
	Zip            bool      // artifacts are also packed
	CachePlace     string    // description of the cache's place; empty if nothing is cached
	Engine         string    // name and address of the engine, for display
	Place          string    // where the build runs if it has no image, for display
	Checkout       string    // version of the primary source, for display; may be empty
	MaskEncoded    bool      // mask secrets in base64, URLs and JSON too
	Metadata       bool      // the build may reach the host's instance metadata service
	Lints          diag.List // of the buildspec, to explain failed commands
	// Unset, UnsetHint and Hidden: see Plan.
	Unset     func() map[int][]string
	UnsetHint string
	Hidden    func() map[int]map[string]string
}

// Override has variables that are given when a build is started.
type Override struct {
	Origin    string // -e, or the name of a file
	Variables []project.Variable
}

// String returns the origin and the names, without the values: they may be secret.
func (o Override) String() string {
	text := o.Origin + ":"
	for _, v := range o.Variables {
		text += " " + v.Name
	}
	return text
}
