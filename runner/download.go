package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/secrets"
)

// download prepares the container for the first command: variables, users, runtimes, the
// cache and the build's own Docker engine.
func (b *build) download(ctx context.Context) result {
	if b.continues() {
		return b.restore(ctx)
	}
	b.announce()
	// Only an error that is a Failure alone is the author's mistake. One that is joined
	// with another means that a store could not be asked.
	if missing, only := b.secretsErr.(*secrets.Failure); only {
		return b.plan.missingValues(missing)
	}
	if b.secretsErr != nil {
		return b.fault(ctx, "", b.secretsErr)
	}
	steps := []func(context.Context) result{
		b.beginRoot, b.reportEmulation, b.beginUsers, b.selectRuntimes, b.enterSource, b.restoreCache, b.awaitDocker,
	}
	if b.restoration != nil {
		steps = []func(context.Context) result{b.beginRoot, b.beginUsers, b.restoreSnapshot, b.awaitDocker}
	}
	for _, step := range steps {
		if res := step(ctx); res.status != "" {
			return res
		}
	}
	b.announceCommands()
	return result{}
}

// ok is the zero result without an error, else the result of a lost shell or a fault.
func (b *build) ok(ctx context.Context, err error) result {
	if err != nil {
		return b.shellLost(ctx, err)
	}
	return result{}
}

func (b *build) reportEmulation(ctx context.Context) result {
	return b.ok(ctx, b.image.reportEmulation(ctx, b.shells))
}

func (b *build) restoreCache(ctx context.Context) result {
	return b.ok(ctx, b.cache.restore(ctx, b.container))
}

func (b *build) awaitDocker(ctx context.Context) result {
	return b.ok(ctx, b.docker.await(ctx, b.shells))
}

// announce sends the first lines of the service's agent (observed).
func (b *build) announce() {
	say := b.rec.say
	say("Running on CodeBuild On-demand")
	say("Waiting for agent ping")
	say("Waiting for DOWNLOAD_SOURCE")
	say("Phase is DOWNLOAD_SOURCE")
	for i, s := range b.plan.Sources {
		name := "CODEBUILD_SRC_DIR"
		if i > 0 {
			name += "_" + s.ID
		}
		say("%s=%s", name, s.Path)
	}
	say("YAML location is %s", b.plan.Location)
	if b.plan.Warning != "" {
		say("%s", b.plan.Warning)
	}
	for _, phase := range b.plan.Phases {
		if phase.Written && len(phase.Commands) == 0 {
			say("No commands found for phase name: %s", strings.ToLower(string(phase.Type)))
		}
	}
	say("Processing environment variables")
	isParameter := func(r secrets.Request) bool { return r.Kind == secrets.ParameterStore }
	if slices.ContainsFunc(b.plan.Requests(), isParameter) {
		say("Decrypting parameter store environment variables")
	}
}

// announceCommands sends the agent's last lines before the first command (observed).
func (b *build) announceCommands() {
	say := b.rec.say
	say("Configuring ssm agent with target id: codebuild:%s", b.plan.Identity.UUID)
	say("Successfully updated ssm agent configuration")
	say("Registering with agent")
	say("Phases found in YAML: %d", len(b.plan.Written))
	for _, phase := range b.plan.Phases {
		if phase.Written {
			say(" %s: %d commands", phase.Type, len(phase.Commands))
		}
	}
}

// beginRoot passes the variables to root's shell and creates the files of a build
// environment.
func (b *build) beginRoot(ctx context.Context) result {
	var lines []string
	for _, v := range b.plan.Variables {
		value := b.values[v.Name].Reveal()
		switch {
		case !project.ValidName(v.Name):
			continue // a problem of the buildspec or project has been reported
		case v.Expand:
			lines = append(lines, shell.ExportRaw(v.Name, value))
		default:
			lines = append(lines, shell.Export(v.Name, value))
		}
	}
	setupLines, endpointCommands := b.endpoints.setup(b.plan)
	if b.plan.GitHelper && !b.plan.GitCredentials {
		b.rec.note("The buildspec sets git-credential-helper, which requires --git-credentials.")
	}
	root := b.shells.root()
	if err := root.Begin(b.plan.Sources[0].Top, append(lines, setupLines...)); err != nil {
		return b.shellLost(ctx, err)
	}
	needsProgram := b.plan.needsProgram(b.cache.uncomputedKeys())
	err := copyCertificates(ctx, b.container, b.plan.Certificates)
	if needsProgram {
		err = errors.Join(err, b.copyProgram(ctx))
	}
	if err != nil {
		return b.shellLost(ctx, err)
	}
	commands := slices.Concat(b.breakpointCommands(), programCommands(needsProgram), endpointCommands,
		b.plan.setupCommands(b.RootSource))
	if err := b.watchBreakpoints(ctx); err != nil {
		return b.shellLost(ctx, err)
	}
	return b.ok(ctx, root.Prepare(commands...))
}

// setupCommands returns the commands that create files which CodeBuild provides in
// addition to the image. Their failure is ignored: an image without chmod or chown has no
// use for them.
func (p *Plan) setupCommands(rootSource bool) []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	add("chmod 755 %s/*", userBin)
	if len(p.Certificates) > 0 {
		all = append(all, trustCertificates)
	}
	if p.Inline != "" {
		add("printf %%s %s >%s/buildspec.yml", shell.Quote(p.Inline), readonlyDir)
	}
	for _, source := range p.Sources {
		quoted := shell.Quote(source.Path)
		if rootSource { // git refuses a repository of another user
			add("chown 0:0 %s %s/.git", quoted, quoted)
		}
		if len(p.users()) > 0 && !p.Lambda() { // run-as users may read and run the source (documented)
			add("chmod -R a+rX %s", quoted)
		}
	}
	if p.Lambda() {
		all = append(all, p.lambdaCommands()...)
	}
	return all
}

// knownUser succeeds for a user of the image, by name or number.
const knownUser = `while IFS=: read -r name x number rest; do
  [ "$name" = %[1]s ] || [ "$number" = %[1]s ] && exit 0
done </etc/passwd
exit 1`

// beginUsers starts a shell for each user that run-as names. The service's behavior for a
// user that the image does not have is not known; here it fails the phase, because the
// author of the buildspec can fix it.
func (b *build) beginUsers(ctx context.Context) result {
	for _, user := range b.plan.users() {
		if user != lambdaUser { // which is in no image
			_, exit, err := b.shells.capture(ctx, fmt.Sprintf(knownUser, shell.Quote(user)))
			if err != nil {
				return b.shellLost(ctx, err)
			}
			if exit != 0 {
				return b.unknownUser(ctx, user)
			}
		}
		if err := b.beginUser(ctx, user); err != nil {
			return b.shellLost(ctx, err)
		}
	}
	return result{}
}

// unknownUser returns the result of a build whose image does not have a user, with the users that
// it has.
func (b *build) unknownUser(ctx context.Context, user string) result {
	message := fmt.Sprintf("the image has no user %s, which run-as names", user)
	at := b.plan.spec.ProblemAt("run-as", false, message)
	for _, phase := range b.plan.spec.Phases {
		if phase.RunAs == user {
			at = b.plan.spec.ProblemAt(phase.Path+".run-as", false, message)
			break
		}
	}
	if printed, exit, err := b.shells.capture(ctx, listUsers); err == nil && exit == 0 {
		names := strings.Fields(printed)
		if near := diag.Suggest(user, names); near != "" {
			at.Hint = "nearest: " + near
		} else if len(names) > 0 {
			at.Hint = "it has " + listed(names)
		}
	}
	return result{status: Failed, context: Context{ClientError, message}, problem: &at}
}

// listUsers prints root and the users of an image that are meant for people (1000 and above).
const listUsers = `while IFS=: read -r name x number rest; do
  case $number in
  0) echo "$name" ;;
  65534) ;;
  ????|?????) echo "$name" ;;
  esac
done </etc/passwd`

// beginUser starts a user's shell, which ends with the container.
func (b *build) beginUser(ctx context.Context, user string) error {
	session := b.shells.create(user)
	b.shells.add(user, session)
	process := engine.Process{
		Args: session.Args(), User: user,
		Stdin: session.Stdin(), Stdout: session.Stdout(), Stderr: session.Stderr(),
	}
	go func() {
		exit, err := b.container.Exec(context.WithoutCancel(ctx), process)
		session.End(exit, err)
	}()
	return session.Begin("", nil)
}

// enterSource makes the source the directory of the first command.
func (b *build) enterSource(ctx context.Context) result {
	src := b.plan.Sources[0].Path
	if !b.rewound {
		b.rec.say("Moving to directory %s", src)
	}
	lines := []string{shell.Export("OLDPWD", readonlyDir)}
	if id := b.plan.Sources[0].Resolved; id != "" { // not available earlier (documented)
		lines = append(lines, shell.Export("CODEBUILD_RESOLVED_SOURCE_VERSION", id))
	}
	root := b.shells.root()
	if err := root.Set(lines...); err != nil {
		return b.shellLost(ctx, err)
	}
	if err := root.Enter(src); err != nil || len(b.plan.users()) == 0 {
		return b.ok(ctx, err)
	}
	// The next command may be one of another user's shell: wait for root's changes.
	_, _, err := b.shells.capture(ctx, ":")
	return b.ok(ctx, err)
}
