package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/aws"
	"github.com/buildlocal/buildlocal/console"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/project"
	"github.com/buildlocal/buildlocal/runner"
)

// failed is a line for an error: the first of its lines says what is wrong, the rest how
// to mend it.
func failed(check, verdict string, err error) finding {
	var fault *engine.Fault
	if errors.As(err, &fault) {
		return finding{Check: check, Verdict: verdict, Message: fault.Message, Fix: fault.Hint}
	}
	message, way, _ := strings.Cut(err.Error(), "\n")
	return finding{Check: check, Verdict: verdict, Message: message, Fix: way}
}

// checkEngines tries each engine; a build needs one of them.
func checkEngines(ctx context.Context, d *diagnosis) []finding {
	lines := []finding{d.app.examineDocker(ctx), d.app.examineSandbox(ctx, sandbox.Images), d.app.examineSandbox(ctx, sandbox.Host)}
	works, told := map[string]bool{}, map[string]bool{}
	for i := range lines {
		f := &lines[i]
		works[f.Check] = f.Verdict == verdictOK
		f.Notes = slices.DeleteFunc(f.Notes, func(n string) bool { return told[n] })
		for _, n := range f.Notes {
			told[n] = true
		}
	}
	f := finding{Check: "auto", Verdict: verdictOK, Message: automatic(works)}
	switch asked := d.flags.engine; {
	case asked != "auto" && !works[asked]:
		f = finding{Check: "engine", Verdict: verdictFail, Message: "the engine " + asked + " does not work here", Fix: "Fix it as shown above, or omit --engine."}
	case asked != "auto":
		f = finding{Check: "engine", Verdict: verdictOK, Message: asked + ", which is asked for"}
	case !works["docker"] && !works["sandbox"] && !works["host"]:
		f.Verdict, f.Fix = verdictFail, "Mend one of those above."
	}
	return append(lines, f)
}

// automatic says what a build runs on where no engine is asked for.
func automatic(works map[string]bool) string {
	switch {
	case works["docker"]:
		return "docker; an image named as oci:DIR or tar:FILE in the sandbox"
	case works["sandbox"]:
		return "sandbox where an image is named, else host"
	case works["host"]:
		return "host, where no image is named"
	}
	return "none: no build can run here"
}

func (a *App) examineDocker(ctx context.Context) finding {
	e, err := a.engine(ctx)
	if err != nil {
		return failed("docker", verdictWarn, err)
	}
	defer e.Close()
	about, err := e.About(ctx)
	if err != nil {
		return failed("docker", verdictWarn, err)
	}
	f := finding{Check: "docker", Verdict: verdictOK, Message: fmt.Sprintf("%s, at %s; %d CPUs, %s of memory, storage %s", about.Version, e.Host(), about.CPUs, runner.Memory(about.Memory), about.Storage)}
	if !about.SharesFiles {
		f.Notes = append(f.Notes, "It cannot access host files: sources are copied, and --docker socket is not supported.")
	}
	return f
}

func (a *App) examineSandbox(ctx context.Context, shape sandbox.Shape) finding {
	check := string(shape)
	dir, err := os.MkdirTemp(a.TempDir, "buildlocal-doctor-")
	if err != nil {
		return failed(check, verdictWarn, err)
	}
	defer os.RemoveAll(dir)
	e := a.sandboxEngine(shape)
	report, err := e.Check(ctx, dir)
	if err != nil {
		return failed(check, verdictWarn, err)
	}
	f := finding{Check: check, Verdict: verdictOK, Message: report.Users, Notes: report.Notes}
	if shape == sandbox.Images {
		all, total, err := e.Images()
		if err != nil {
			return failed(check, verdictWarn, err)
		}
		f.Message += fmt.Sprintf("; %d images, %s, in %s", len(all), console.Bytes(total), a.imageStore())
	}
	if runtime.GOOS == "linux" && shape == sandbox.Host {
		f.Message += "; " + ownFiles
	}
	return f
}

// roomy is how much free space a build is likely to need, in bytes.
const roomy = 5e9

// checkDisks looks for space where images and builds are kept.
func checkDisks(ctx context.Context, d *diagnosis) []finding {
	places := []struct{ what, dir, fix string }{
		{"temporary directory", d.app.TempDir, "Free up space there, or set TMPDIR to another directory."},
		{"images", d.app.imageStore(), "Free space there, remove images with buildlocal image prune, or let XDG_CACHE_HOME lead elsewhere."},
	}
	if e, err := d.app.engine(ctx); err == nil {
		if about, err := e.About(ctx); err == nil && about.SharesFiles {
			places = slices.Insert(places, 0, struct{ what, dir, fix string }{"Docker", about.Root, "Free space there: docker system prune."})
		}
		_ = e.Close()
	}
	f := finding{Check: "disk", Verdict: verdictOK}
	var told []string
	for _, p := range places {
		free, err := docker.FreeSpace(p.dir)
		if err != nil {
			continue
		}
		told = append(told, fmt.Sprintf("%s free for %s, in %s", console.Bytes(free), p.what, p.dir))
		if free < roomy {
			f.Verdict, f.Fix = verdictWarn, strings.TrimSpace(f.Fix+" "+p.fix)
		}
	}
	if len(told) == 0 {
		return nil
	}
	f.Message, f.Notes = told[0], told[1:]
	return []finding{f}
}

// checkPlatform tells the architecture, and whether builds for the other one run.
func checkPlatform(_ context.Context, d *diagnosis) []finding {
	other := "arm64"
	if runtime.GOARCH == "arm64" {
		other = "amd64"
	}
	f := finding{Check: "platform", Verdict: verdictOK, Message: d.flags.native}
	switch program, known := docker.Emulator(other); {
	case !known:
	case program == "":
		f.Message += "; no emulator for linux/" + other
		f.Fix = "For images for " + other + ": apt-get install qemu-user-static binfmt-support, or docker run --privileged --rm tonistiigi/binfmt --install " + other + "."
		f.Verdict = verdictWarn
	default:
		f.Message += "; linux/" + other + " runs emulated by " + program
	}
	return []finding{f}
}

// checkMachine compares the machine with what the compute type has.
func checkMachine(ctx context.Context, d *diagnosis) []finding {
	p, err := d.plan()
	if err != nil || p.ComputeType == "" {
		return nil
	}
	e, err := d.app.engine(ctx)
	if err != nil {
		return nil
	}
	defer e.Close()
	about, err := e.About(ctx)
	if err != nil {
		return nil
	}
	f := finding{Check: "compute", Verdict: verdictOK, Message: p.ComputeType + ": " + p.LimitText()}
	if over := p.Limits.Shortfall(about.CPUs, about.Memory); over != "" {
		f.Verdict, f.Notes, f.Fix = verdictWarn, []string{over}, "Timings will differ from CodeBuild, and less memory is available."
	}
	return []finding{f}
}

// plan is the build's, with nothing taken that is somebody's.
func (d *diagnosis) plan() (*runner.Plan, error) {
	if d.error != nil {
		return nil, d.error
	}
	return d.found.plan(d.app, d.flags, runner.Identity{Number: 1})
}

// credentialsLimit is how long AWS credentials may be looked for.
const credentialsLimit = 5 * time.Second

// checkCredentials looks for AWS credentials, which only some builds need.
func checkCredentials(ctx context.Context, d *diagnosis) []finding {
	ctx, cancel := context.WithTimeout(ctx, credentialsLimit)
	defer cancel()
	fix := "Only --aws, --aws-credentials and a cache in a bucket need them: aws configure, or aws sso login."
	account, err := aws.Open(ctx, aws.Options{Profile: d.flags.profile})
	if err == nil {
		_, err = account.Keys(ctx)
	}
	if err != nil {
		message, _, _ := strings.Cut(err.Error(), "\n")
		return []finding{{Check: "credentials", Verdict: verdictWarn, Message: message, Fix: fix}}
	}
	return []finding{{Check: "credentials", Verdict: verdictOK, Message: "AWS credentials of " + account.String() + ", region " + firstText(account.Region(), "us-east-1")}}
}

// checkLogins asks the docker configuration for a login: a credential helper that is
// named there and is not there lets each pull fail.
func checkLogins(_ context.Context, d *diagnosis) []finding {
	registry := "public.ecr.aws"
	if _, err := d.app.login(registry); err != nil {
		message, way, _ := strings.Cut(err.Error(), "\n")
		return []finding{{Check: "registries", Verdict: verdictWarn, Message: "log in at " + registry + ": " + message,
			Fix: firstText(way, "Install the credential helper that the docker configuration names, or take it out of there (credsStore, credHelpers).")}}
	}
	return []finding{{Check: "registries", Verdict: verdictOK, Message: "the docker configuration can be read"}}
}

// checkProxy tells proxies that a build cannot reach.
func checkProxy(_ context.Context, d *diagnosis) []finding {
	all := runner.Proxies(d.app.LookupEnv)
	if len(all) == 0 {
		return []finding{{Check: "proxy", Verdict: verdictOK, Message: "none"}}
	}
	f := finding{Check: "proxy", Verdict: verdictOK}
	for _, v := range all {
		if strings.ToUpper(v.Name) != v.Name {
			continue
		}
		value := v.Value
		if at := strings.LastIndexByte(value, '@'); at >= 0 {
			value = "***" + value[at:]
		}
		f.Message = strings.TrimPrefix(f.Message+", "+v.Name+"="+value, ", ")
		if v.Name != "NO_PROXY" && runner.Loopback(v.Value) {
			f.Verdict = verdictWarn
			f.Fix = "Containers cannot reach 127.0.0.1 of the host: make the proxy listen on an address they can reach, such as that of the Docker bridge."
		}
	}
	return []finding{f}
}

// checkBuildspec reads the project and the buildspec that run would.
func checkBuildspec(_ context.Context, d *diagnosis) []finding {
	if d.error != nil {
		var problems diag.List
		if errors.As(d.error, &problems) {
			first := problems[max(0, slices.IndexFunc(problems, func(p diag.Problem) bool { return p.Severity == diag.Error }))]
			return []finding{{Check: "buildspec", Verdict: verdictFail, Message: firstLine(first.String()), Fix: "Run buildlocal validate to see all problems."}}
		}
		return []finding{failed("buildspec", verdictFail, d.error)}
	}
	if d.none {
		return []finding{{Check: "buildspec", Verdict: verdictWarn, Message: "there is none in " + d.flags.source, Fix: "Run doctor in a directory with a buildspec, or set -C or -b."}}
	}
	g := d.found
	f := finding{Check: "buildspec", Verdict: verdictOK, Message: g.spec.File}
	if n := len(g.problems); n > 0 {
		noun := "warnings and lints"
		if n == 1 {
			noun = "warning or lint"
		}
		f.Verdict, f.Message, f.Fix = verdictWarn, fmt.Sprintf("%s: %d %s", g.spec.File, n, noun), "Run buildlocal validate for details."
	}
	return []finding{f}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// checkImage looks for the build's image, and pulls nothing.
func checkImage(ctx context.Context, d *diagnosis) []finding {
	p, err := d.plan()
	if err != nil || d.flags.engine == "host" {
		return nil
	}
	wanted := firstText(p.StandIn, p.Image)
	shown := p.Image
	if p.StandIn != "" {
		shown = p.StandIn + ", which stands for " + p.Image + ","
	}
	if kind, file, _ := strings.Cut(wanted, ":"); isLocalImage(wanted) {
		file, _, _ = strings.Cut(file, ":")
		if _, err := os.Stat(file); err != nil {
			return []finding{{Check: "image", Verdict: verdictFail, Message: err.Error(), Fix: "Check the path of " + kind + ":."}}
		}
		return []finding{{Check: "image", Verdict: verdictOK, Message: shown + " is here"}}
	}
	e, unanswered := d.app.engine(ctx)
	if unanswered == nil {
		defer e.Close()
	}
	atDocker := unanswered == nil && d.flags.engine != "sandbox"
	if atDocker {
		got, err := e.Need(ctx, engine.Spec{Name: "doctor", Image: engine.ImageRef{Alias: p.Alias, Names: p.Images, Platform: p.Platform, Pull: engine.PullNever}})
		var fault *engine.Fault
		switch {
		case err == nil:
			return []finding{{Check: "image", Verdict: verdictOK, Message: fmt.Sprintf("%s is here, %s, %s", shown, got.Platform, console.Bytes(got.Size))}}
		case errors.As(err, &fault) && fault.Kind == engine.WrongArch:
			return []finding{failed("image", verdictFail, err)}
		}
	}
	if !atDocker {
		kept, _, err := d.app.allImages(ctx, "sandbox")
		if at := imageNamed(kept, p.Images); err == nil && at >= 0 {
			return []finding{{Check: "image", Verdict: verdictOK, Message: fmt.Sprintf("%s is here, in the store of the engine sandbox, %s", shown, console.Bytes(kept[at].Size))}}
		}
	}
	if p.NoImage != "" {
		return []finding{{Check: "image", Verdict: verdictFail, Message: shown + " is not here", Fix: p.NoImage}}
	}
	if unanswered != nil && d.flags.engine == "auto" && firstText(d.flags.image, d.found.project.Environment.Image) == "" {
		return []finding{{Check: "image", Verdict: verdictOK, Message: "none is named: the build is in this machine's own files"}}
	}
	f := finding{Check: "image", Verdict: verdictWarn, Message: shown + " is not here: the first build pulls it", Fix: "buildlocal image pull " + wanted}
	if d.flags.engine == "sandbox" {
		f.Fix += " --engine sandbox"
	}
	if warning := project.DeprecatedImage(p.Image); warning != "" {
		f.Notes = append(f.Notes, warning)
	}
	return []finding{f}
}
