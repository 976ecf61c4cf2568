package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner/shell"
	"github.com/buildlocal/buildlocal/secrets"
)

// patience is how long values are looked up before a word is said.
const patience = 2 * time.Second

// submit looks up values that stand elsewhere, before any container is made.
func (b *build) submit(ctx context.Context) result {
	store := b.Store
	if store == nil {
		store = secrets.Stores{}
	}
	slow := time.AfterFunc(patience, func() { b.note("Still looking up values of Parameter Store and Secrets Manager.") })
	answers, err := secrets.Resolve(ctx, store, b.plan.Needs())
	slow.Stop()
	b.missed = err
	for i, v := range b.plan.Variables {
		b.values[i] = v.Value
		if v.Stored != nil && err == nil {
			b.values[i] = answers[*v.Stored].Value.Reveal()
			b.hide(answers[*v.Stored].Whole.Reveal())
		}
		if v.Stored != nil || v.Secret {
			b.hide(b.values[i], v.Password, unescaped(v.Password))
			b.hide(secrets.JSONStrings(b.values[i])...)
			b.warnShort(v, b.values[i])
		}
	}
	return result{}
}

// warnShort tells a secret that cannot be hidden, or is none: a value that is empty
// is never taken in silence.
func (b *build) warnShort(v Variable, value string) {
	switch {
	case b.missed != nil || secrets.Maskable(value):
	case value == "" && v.Stored != nil:
		b.note("The value of %s is empty: %s is an empty string.", v.Name, v.Stored.Ref)
	case value != "":
		b.note("The value of %s is too short to be masked in the log.", v.Name)
	}
}

// unescaped is a password as it is without the escapes of a URL.
func unescaped(password string) string {
	plain, err := url.PathUnescape(password)
	if err != nil {
		return ""
	}
	return plain
}

// hide hides values from now on, and what they look like in base64, URLs and JSON
// where that is asked for.
func (b *build) hide(values ...string) {
	b.mask.Add(values...)
	if b.plan.MaskEncoded {
		b.mask.AddEncoded(values...)
	}
}

// queue waits for nothing: it is where a build without its values turns off.
func (b *build) queue(context.Context) result {
	if b.missed != nil {
		return result{next: DownloadSource}
	}
	return result{}
}

// provision starts the container. Where the source cannot be mounted it is
// copied in.
func (b *build) provision(ctx context.Context) result {
	b.foreseen = b.foresee(ctx)
	err := b.start(ctx, b.directories())
	if b.foreseen != nil && errors.Is(err, engine.ErrUnsupported) {
		b.foreseen = nil // it is copied
		err = b.start(ctx, b.directories())
	}
	var refused *engine.Fault // something else than to mount it
	if errors.Is(err, engine.ErrUnsupported) && !errors.As(err, &refused) {
		b.note("The source is copied into the container, because mounting it is %s.", strings.TrimPrefix(err.Error(), "mount the source: "))
		err = b.startWithCopies(ctx)
	}
	if err != nil {
		return b.fault(ctx, b.pullCode(err), err)
	}
	return result{}
}

// start starts the container, with the build's shell and these directories in it.
func (b *build) start(ctx context.Context, mounted []Extra) error {
	session := b.newSession("")
	c, err := b.Engine.Start(ctx, b.spec(session, mounted))
	if err != nil {
		session.Close()
		return err
	}
	b.container, b.sessions[""] = c, session
	b.measure(ctx)
	return nil
}

// startWithCopies starts the container and copies the directories into it.
func (b *build) startWithCopies(ctx context.Context) error {
	if err := b.start(ctx, nil); err != nil {
		return err
	}
	for _, e := range b.directories() {
		if err := copyTree(ctx, b.container, e); err != nil {
			return err // FINALIZING removes the container
		}
	}
	return nil
}

// pullCode returns the status code of a container that could not be started. An
// image that no registry has gets its own way on.
func (b *build) pullCode(err error) string {
	var f *engine.Fault
	if !errors.As(err, &f) || f.Kind != engine.NoImage && f.Kind != engine.NoRegistry && f.Kind != engine.WrongArch {
		return ""
	}
	if f.Hint == "" {
		f.Hint = b.plan.NoImage
	}
	return PullError
}

func copyTree(ctx context.Context, c engine.Container, e Extra) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(e.Stream(w, strings.TrimPrefix(e.Tree.Path, "/"))) }()
	defer r.Close()
	return c.CopyIn(ctx, "/", r)
}

// directories returns all that is wanted inside: the sources, and what they
// need. Two worktrees may need the same repository.
func (b *build) directories() []Extra {
	var all []Extra
	for _, s := range b.plan.Sources {
		all = append(all, Extra{s.Tree, s.Stream})
		for _, e := range s.Extra {
			if !slices.ContainsFunc(all, func(other Extra) bool { return other.Tree.Path == e.Tree.Path }) {
				all = append(all, e)
			}
		}
	}
	return all
}

func (b *build) newSession(user string) *shell.Session {
	return shell.New(shell.Config{
		Nonce: b.Nonce + strings.Map(alphanumeric, user), State: stateDir, Shell: b.plan.Shell, Home: b.plan.Sources[0].Path,
		Keep: b.plan.Keep, Later: user != "", Output: b,
	})
}

func alphanumeric(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
		return r
	}
	return 'x'
}

func (b *build) spec(session *shell.Session, mounted []Extra) engine.Spec {
	labels := maps.Clone(b.Labels)
	spec := engine.Spec{
		Name: b.Name, Labels: labels, Env: b.plan.earlyEnv(), Keep: b.Keep,
		Image: engine.ImageRef{
			Alias: b.plan.Alias, Names: b.plan.Images, Pull: b.plan.Pull, Digest: b.plan.Digest, Platform: b.plan.Platform,
		},
		Resources: engine.Resources{Privileged: b.plan.Privileged, Limits: b.plan.Limits},
		Mounts:    engine.Mounts{Scratch: []string{stateDir, readonlyDir, userBin}, Volumes: b.Volumes, Temp: b.Temp},
		Network:   engine.Network{Metadata: b.plan.Metadata},
		Main: &engine.Process{
			Args: session.Args(), Stdin: session.Stdin(), Stdout: session.Stdout(), Stderr: session.Stderr(),
		},
		Hooks: engine.Hooks{
			OnImage: b.found, OnExit: session.End, OnWarning: b.note,
			OnProgress: func(p engine.Progress) {
				b.notify(Event{Kind: Pulled, Pull: Pull(p)})
			},
		},
	}
	if b.plan.Socket {
		spec.Network.Socket = &engine.Socket{Path: dockerSocket, KeepImages: slices.Contains(b.plan.CacheModes, DockerLayerCache)}
	}
	if b.nests() {
		spec.Main.Args = withDockerd(spec.Main.Args)
	}
	for i, e := range mounted {
		if i == 0 && b.foreseen != nil {
			e.Tree.Overlays = b.foreseen.over
		}
		spec.Mounts.Trees = append(spec.Mounts.Trees, e.Tree)
	}
	if b.foreseen != nil {
		spec.Mounts.Trees = append(spec.Mounts.Trees, b.foreseen.trees...)
	}
	b.serveCredentials(&spec)
	return spec
}

// download gets all in place before the first command.
func (b *build) download(ctx context.Context) result {
	b.announce()
	// One that is joined with what could not be asked is not the whole of it.
	if missing, only := b.missed.(*secrets.Failure); only {
		b.note("%s", missing.Hint)
		return result{status: Failed, context: Context{missing.StatusCode, missing.Message}}
	}
	if b.missed != nil {
		return b.fault(ctx, "", b.missed)
	}
	if err := b.begin(ctx); err != nil {
		return b.broken(ctx, err)
	}
	if err := b.warnEmulated(ctx); err != nil {
		return b.broken(ctx, err)
	}
	if res := b.beginUsers(ctx); res.status != "" {
		return res
	}
	if res := b.selectRuntimes(ctx); res.status != "" {
		return res
	}
	if err := b.enter(ctx); err != nil {
		return b.broken(ctx, err)
	}
	if err := b.restoreCache(ctx); err != nil {
		return b.broken(ctx, err)
	}
	if err := b.awaitDocker(ctx); err != nil {
		return b.broken(ctx, err)
	}
	b.announceCommands()
	return result{}
}

// announce tells what the agent tells first (observed).
func (b *build) announce() {
	b.say("Running on CodeBuild On-demand")
	b.say("Waiting for agent ping")
	b.say("Waiting for DOWNLOAD_SOURCE")
	b.say("Phase is DOWNLOAD_SOURCE")
	for i, s := range b.plan.Sources {
		name := "CODEBUILD_SRC_DIR"
		if i > 0 {
			name += "_" + s.ID
		}
		b.say("%s=%s", name, s.Path)
	}
	b.say("YAML location is %s", b.plan.Location)
	if b.plan.Warning != "" {
		b.say("%s", b.plan.Warning)
	}
	for _, phase := range b.plan.Phases {
		if phase.Written && len(phase.Commands) == 0 {
			b.say("No commands found for phase name: %s", strings.ToLower(string(phase.Type)))
		}
	}
	b.say("Processing environment variables")
	if slices.ContainsFunc(b.plan.Needs(), func(n secrets.Request) bool { return n.Kind == secrets.ParameterStore }) {
		b.say("Decrypting parameter store environment variables")
	}
}

// announceCommands tells what the agent tells last.
func (b *build) announceCommands() {
	b.say("Configuring ssm agent with target id: codebuild:%s", b.plan.Identity.UUID)
	b.say("Successfully updated ssm agent configuration")
	b.say("Registering with agent")
	b.say("Phases found in YAML: %d", len(b.plan.Written))
	for _, phase := range b.plan.Phases {
		if phase.Written {
			b.say(" %s: %d commands", phase.Type, len(phase.Commands))
		}
	}
}

// begin hands the variables to the build's shell, and prepares what a build
// environment has.
func (b *build) begin(ctx context.Context) error {
	var lines []string
	for i, v := range b.plan.Variables {
		switch {
		case !project.ValidName(v.Name):
			continue // a warning has told it
		case v.Expand:
			lines = append(lines, shell.ExportRaw(v.Name, b.values[i]))
			continue
		}
		lines = append(lines, shell.Export(v.Name, b.values[i]))
	}
	root := b.sessions[""]
	if err := root.Begin(b.plan.Sources[0].Top, append(lines, b.credentialLines()...)); err != nil {
		return err
	}
	if err := errors.Join(b.copyCertificates(ctx), b.bringProgram(ctx)); err != nil {
		return err
	}
	return root.Prepare(b.furnish()...)
}

// furnish are commands for what a build environment has besides its image. An
// image may lack chmod or chown: then it lacks what needs them too.
func (b *build) furnish() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, name := range []string{"codebuild-breakpoint", "codebuild-resume"} {
		add("printf '#!/bin/sh\\nexit 0\\n' >%s/%s", userBin, name)
	}
	all = append(all, b.programCommands()...)
	all = append(all, b.gitHelper()...)
	add("chmod 755 %s/*", userBin)
	if len(b.plan.Certificates) > 0 {
		all = append(all, trustCertificates)
	}
	if b.plan.Inline != "" {
		add("printf %%s %s >%s/buildspec.yml", shell.Quote(b.plan.Inline), readonlyDir)
	}
	for _, source := range b.plan.Sources {
		quoted := shell.Quote(source.Path)
		if b.RootSource { // git refuses a repository that belongs to somebody else
			add("chown 0:0 %s %s/.git", quoted, quoted)
		}
		if len(b.plan.users()) > 0 && !b.plan.Lambda() { // run-as may read and run the source (documented)
			add("chmod -R a+rX %s", quoted)
		}
	}
	if b.plan.Lambda() {
		all = append(all, b.lambdaCommands()...)
	}
	return all
}

// knownUser succeeds for a user that the image has, by name or number.
const knownUser = `while IFS=: read -r name x number rest; do
  [ "$name" = %[1]s ] || [ "$number" = %[1]s ] && exit 0
done </etc/passwd
exit 1`

// beginUsers starts a shell for each user that run-as names. What the service
// does where the image has no such user is not known; here it is the author's
// mistake.
func (b *build) beginUsers(ctx context.Context) result {
	for _, user := range b.plan.users() {
		if user == lambdaUser { // no image has it
			if err := b.beginUser(ctx, user); err != nil {
				return b.broken(ctx, err)
			}
			continue
		}
		_, exit, err := b.sessions[""].Capture(ctx, fmt.Sprintf(knownUser, shell.Quote(user)))
		if err != nil {
			return b.broken(ctx, err)
		}
		if exit != 0 {
			return result{status: Failed, context: Context{ClientError, fmt.Sprintf("the image has no user %s, which run-as names", user)}}
		}
		if err := b.beginUser(ctx, user); err != nil {
			return b.broken(ctx, err)
		}
	}
	return result{}
}

func (b *build) beginUser(ctx context.Context, user string) error {
	session := b.newSession(user)
	b.sessions[user] = session
	process := engine.Process{Args: session.Args(), User: user, Stdin: session.Stdin(), Stdout: session.Stdout(), Stderr: session.Stderr()}
	go func() {
		exit, err := b.container.Exec(context.WithoutCancel(ctx), process)
		session.End(exit, err)
	}()
	return session.Begin("", nil)
}

// enter goes to the source, where the first command begins.
func (b *build) enter(ctx context.Context) error {
	src := b.plan.Sources[0].Path
	b.say("Moving to directory %s", src)
	lines := []string{shell.Export("OLDPWD", readonlyDir)}
	if id := b.plan.Sources[0].Resolved; id != "" { // only now (documented)
		lines = append(lines, shell.Export("CODEBUILD_RESOLVED_SOURCE_VERSION", id))
	}
	root := b.sessions[""]
	if err := root.Set(lines...); err != nil {
		return err
	}
	if err := root.Enter(src); err != nil || len(b.plan.users()) == 0 {
		return err
	}
	_, _, err := root.Capture(ctx, ":") // the others may run the next command
	return err
}

// errExpand is wrapped by the error of a text the build's shell cannot expand.
var errExpand = errors.New("the shell cannot expand it")

// expand returns text with the variables in it expanded by the build's shell. A
// quote is a quote, but in the commands of $(...), which have their own.
func (b *build) expand(ctx context.Context, text string) (string, error) {
	if !strings.ContainsAny(text, "$`") {
		return text, nil
	}
	quoted := text
	if !strings.Contains(text, "$(") && !strings.Contains(text, "`") {
		quoted = strings.NewReplacer(`\"`, `\"`, `"`, `\"`).Replace(text)
	}
	got, exit, err := b.sessions[""].Capture(ctx, `printf %s "`+quoted+`"`)
	if err == nil && exit != 0 {
		return "", fmt.Errorf("%s: %w: %s", text, errExpand, strings.TrimSpace(got))
	}
	return got, err
}

func (b *build) expandAll(ctx context.Context, texts []string) ([]string, error) {
	all := make([]string, len(texts))
	for i, text := range texts {
		var err error
		if all[i], err = b.expand(ctx, text); err != nil {
			return nil, err
		}
	}
	return all, nil
}
