package machine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/buildlocal/buildlocal/aws"
	"github.com/buildlocal/buildlocal/cmd/cli"
	"github.com/buildlocal/buildlocal/engine"
	"github.com/buildlocal/buildlocal/engine/docker"
	"github.com/buildlocal/buildlocal/engine/sandbox"
	"github.com/buildlocal/buildlocal/internal/diag"
	"github.com/buildlocal/buildlocal/internal/human"
	"github.com/buildlocal/buildlocal/local"
	"github.com/buildlocal/buildlocal/runner"
)

// failed returns a line for an error. A fault of an engine has its fix in a field; in other
// errors the first line is the message and the rest is the fix, as PrintError shows them.
func failed(check, verdict string, err error) finding {
	var fault *engine.Fault
	if errors.As(err, &fault) {
		return finding{Check: check, Verdict: verdict, Message: fault.Message, Fix: fault.Hint}
	}
	message, hint, _ := strings.Cut(err.Error(), "\n")
	return finding{Check: check, Verdict: verdict, Message: message, Fix: hint}
}

// ok, warning and failure return a finding with one of the verdicts. A finding that is ok
// needs no fix.
func ok(check, message string) finding {
	return finding{Check: check, Verdict: verdictOK, Message: message}
}

func warning(check, message, fix string) finding {
	return finding{Check: check, Verdict: verdictWarn, Message: message, Fix: fix}
}

func failure(check, message, fix string) finding {
	return finding{Check: check, Verdict: verdictFail, Message: message, Fix: fix}
}

// checkEngines tries each engine. Builds need only one of them, so an engine that does not
// work is a warning; the last line shows which one builds would use, and fails if that one
// does not work.
func checkEngines(ctx context.Context, d *diagnosis) []finding {
	lines := []finding{
		checkDocker(ctx, d.app),
		checkSandbox(ctx, d.app, sandbox.Images),
		checkSandbox(ctx, d.app, sandbox.Host),
	}
	works, noted := map[string]bool{}, map[string]bool{} // engines, and notes that were printed
	for i := range lines {
		f := &lines[i]
		// The two sandboxes depend on the same features of the kernel: each note once.
		works[f.Check] = f.Verdict == verdictOK || f.Verdict == verdictInfo
		f.Notes = slices.DeleteFunc(f.Notes, func(n string) bool { return noted[n] })
		for _, n := range f.Notes {
			noted[n] = true
		}
	}
	f := ok(engineCheck, automatic(works))
	// With --engine only that one matters, and then it has to work.
	switch asked := string(d.flags.Engine.Kind); {
	case asked != "auto" && !works[asked]:
		f = failure(engineCheck, "the engine "+asked+" does not work here", "fix it as shown above, or omit --engine")
	case asked != "auto":
		f.Message = "builds run here with " + asked + ", as requested"
	case !works["docker"] && !works["sandbox"] && !works["host"]:
		f = failure(engineCheck, f.Message, "fix one of the engines above")
	}
	if f.Verdict == verdictOK { // the build at hand does not need the others
		for i := range lines {
			// An engine that the user has configured is meant to be used by builds.
			expected := lines[i].Check == "docker" && docker.IsConfigured(d.app.DockerOptions())
			if lines[i].Verdict == verdictWarn && !expected {
				lines[i].Verdict = verdictInfo
			}
		}
	}
	return append(lines, f)
}

// automatic lists the engines that work: a build without --engine takes the first one that can
// run it.
func automatic(works map[string]bool) string {
	var names []string
	for _, name := range []string{"docker", "sandbox", "host"} {
		if works[name] {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "builds cannot run here: no engine works"
	}
	return "builds run here with " + human.Series(names)
}

// checkDocker connects to the Docker engine that a build would use: that of DOCKER_HOST, of
// the current context, or on the default socket.
func checkDocker(ctx context.Context, a *cli.App) finding {
	e, err := a.Docker(ctx)
	if err != nil {
		return failed("docker", verdictWarn, err)
	}
	defer e.Close()
	// The connection alone proves little: a proxy of the socket may refuse all requests.
	about, err := e.About(ctx)
	if err != nil {
		return failed("docker", verdictWarn, err)
	}
	// The number of CPUs and the memory are those of the engine, which may be a small virtual
	// machine on a large host.
	f := ok("docker", fmt.Sprintf("%s at %s; %d CPUs, %s",
		about.Version, e.Host(), about.CPUs, human.Memory(about.Memory)))
	if !about.SharesFiles { // a daemon on another host, or in a virtual machine without mounts
		f.Notes = append(f.Notes, "it cannot access host files: sources are copied, and --docker socket is not supported")
	}
	return f
}

// checkSandbox starts a sandbox, because whether that works depends on kernel settings, on
// security modules and on a surrounding container, and only a try shows all of them. No
// image is needed for it.
func checkSandbox(ctx context.Context, a *cli.App, mode sandbox.Mode) finding {
	check := string(mode) // the name of the engine
	dir, err := os.MkdirTemp(a.TempDir, "buildlocal-doctor-")
	if err != nil {
		return failed(check, verdictWarn, err)
	}
	defer os.RemoveAll(dir)
	// Each mode is an engine of its own, with the ID mappings that suit it.
	e := a.Sandbox(mode)
	report, err := e.Check(ctx, dir)
	if err != nil {
		return failed(check, verdictWarn, err)
	}
	f := finding{Check: check, Verdict: verdictOK, Message: report.Users, Notes: report.Notes}
	if mode == sandbox.Images {
		all, total, err := e.Images()
		if err != nil {
			return failed(check, verdictWarn, err)
		}
		f.Message = fmt.Sprintf("%s, %s in %s", human.Count(len(all), "image"), human.Bytes(total), a.Tilde(a.ImageStore()))
		f.Notes = append([]string{report.Users}, f.Notes...)
		if len(all) == 0 { // it works, but only a build that pulls an image can use it
			f.Verdict, f.Message = verdictInfo, "no images in "+a.Tilde(a.ImageStore())
			f.Fix = "buildlocal image pull IMAGE, if builds are to run without Docker"
		}
	}
	// Many people take "host" for a container with the host's network.
	if runtime.GOOS == "linux" && mode == sandbox.Host {
		f.Message += "; " + local.HostFiles
	}
	return f
}

// recommendedFreeBytes is the free disk space that builds usually need, in bytes: about a
// curated image with some room for dependencies.
const recommendedFreeBytes = 5e9

// checkDisks checks the free space of the places for images and builds. The disk of the
// Docker engine counts only if it is on this host, and is listed first, because most builds
// need it. A place whose space is not known is left out.
func checkDisks(ctx context.Context, d *diagnosis) []finding {
	places := []struct{ what, dir, fix string }{
		{"temporary directory", d.app.TempDir, "free up space there, or set TMPDIR to another directory"},
		{
			"images",
			d.app.ImageStore(),
			"buildlocal image prune, or set XDG_CACHE_HOME to another directory",
		},
	}
	if e, err := d.app.Docker(ctx); err == nil {
		if about, err := e.About(ctx); err == nil && about.SharesFiles {
			places = slices.Insert(
				places,
				0,
				struct{ what, dir, fix string }{"Docker", about.Root, "docker system prune"},
			)
		}
		_ = e.Close()
	}
	// One line for all disks: often all places are on the same one.
	f := finding{Check: "disk", Verdict: verdictOK}
	var free []string
	for _, p := range places {
		bytes, err := docker.FreeSpace(p.dir)
		if err != nil {
			continue
		}
		free = append(free, fmt.Sprintf("%s free in %s", human.Bytes(bytes), p.dir))
		if bytes < recommendedFreeBytes {
			f.Verdict, f.Fix = verdictWarn, cmp.Or(f.Fix, p.fix)
		}
	}
	if len(free) == 0 {
		return nil // as on systems where the space cannot be read
	}
	f.Message = strings.Join(slices.Compact(free), ", ")
	return []finding{f}
}

// checkPlatform reports the architecture, and whether the other one of CodeBuild can be
// emulated, as a project for ARM needs on x86. Without binfmt_misc, which has the list of
// emulators, nothing is known and nothing reported.
func checkPlatform(_ context.Context, d *diagnosis) []finding {
	other := "arm64"
	if runtime.GOARCH == "arm64" {
		other = "amd64"
	}
	f := finding{Check: "platform", Verdict: verdictOK, Message: local.NativePlatform()}
	switch program, known := docker.Emulator(other); {
	case !known: // as on macOS, where the emulator is in the virtual machine of Docker
	case program == "":
		f.Message += "; no emulator for linux/" + other
		f.Fix = "apt-get install qemu-user-static binfmt-support, or docker run " +
			"--privileged --rm tonistiigi/binfmt --install " + other
		f.Verdict = verdictInfo
	default:
		f.Message += "; linux/" + other + " runs emulated by " + program
	}
	return []finding{f}
}

// checkMachine compares the host with the compute type of the project. Builds run with the
// resources that exist, so a smaller host is a warning. The size is that of the engine,
// which can be a virtual machine.
func checkMachine(ctx context.Context, d *diagnosis) []finding {
	p, err := d.plan()
	if err != nil || p.ComputeType == "" { // without a compute type builds have no limits
		return nil
	}
	e, err := d.app.Docker(ctx)
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
		f.Verdict, f.Notes, f.Fix = verdictWarn, []string{
			over,
		}, "timings differ from CodeBuild, and less memory is available"
	}
	return []finding{f}
}

// plan returns the plan of the build, or the error of its inputs, which checkBuildspec
// reports.
func (d *diagnosis) plan() (*runner.Plan, error) {
	if d.inputsErr != nil {
		return nil, d.inputsErr
	}
	return d.inputs.Plan()
}

// maxCredentialTime limits the look-up of AWS credentials. Outside of EC2, the last place
// asked is the instance metadata service, whose address then often answers nothing.
const maxCredentialTime = 5 * time.Second

// checkCredentials looks for AWS credentials, which only some builds need. They are not
// tried: an expired session shows only in a build.
func checkCredentials(ctx context.Context, d *diagnosis) []finding {
	ctx, cancel := context.WithTimeout(ctx, maxCredentialTime)
	defer cancel()
	// An empty profile is that of AWS_PROFILE, or the default one.
	account, err := aws.Open(ctx, aws.Options{Profile: d.flags.Secrets.Profile})
	if err == nil {
		_, err = account.Keys(ctx)
	}
	if err != nil {
		// The hint of the error is replaced: here it is not known whether a build needs them.
		message, _, _ := strings.Cut(err.Error(), "\n")
		if d.flags.Secrets.Profile != "" { // the build at hand does
			return []finding{warning("credentials", message, "aws sso login --profile "+d.flags.Secrets.Profile)}
		}
		return []finding{{Check: "credentials", Verdict: verdictInfo, Fix: "aws sso login, or aws configure",
			Message: "none; only --aws, --aws-credentials and a cache in a bucket need them"}}
	}
	return []finding{
		{
			Check:   "credentials",
			Verdict: verdictOK,
			Message: "AWS credentials of " + account.String() + ", region " + cmp.Or(account.Region(), "us-east-1"),
		},
	}
}

// checkLogins gets a login from the Docker configuration. If it names a credential helper
// that is not installed, as after removing Docker Desktop, each pull fails, even of public
// images. No registry is asked.
func checkLogins(_ context.Context, d *diagnosis) []finding {
	registry := "public.ecr.aws" // has the curated images, so most users pull from it
	if _, err := d.app.Login(registry); err != nil {
		message, hint, _ := strings.Cut(err.Error(), "\n")
		return []finding{{Check: "registries", Verdict: verdictWarn, Message: "log in at " + registry + ": " + message,
			Fix: cmp.Or(
				hint,
				"install the credential helper that the docker configuration names, or remove it there (credsStore, "+
					"credHelpers)",
			)}}
	}
	return []finding{ok("registries", "the docker configuration can be read")}
}

// checkProxy reports the proxies that builds get, and warns of those that they cannot reach.
func checkProxy(_ context.Context, d *diagnosis) []finding {
	all := runner.Proxies(d.app.LookupEnv)
	if len(all) == 0 {
		return []finding{ok("proxy", "not set")}
	}
	f := finding{Check: "proxy", Verdict: verdictOK}
	for _, v := range all {
		if strings.ToUpper(v.Name) != v.Name {
			continue // builds get each variable in both cases
		}
		// Proxy URLs often contain a password, and the output is pasted into issues.
		value := v.Value
		if at := strings.LastIndexByte(value, '@'); at >= 0 {
			value = "***" + value[at:]
		}
		f.Message = strings.TrimPrefix(f.Message+", "+v.Name+"="+value, ", ")
		if v.Name != "NO_PROXY" && runner.Loopback(v.Value) {
			f.Verdict = verdictWarn
			f.Fix = "containers cannot reach 127.0.0.1 of the host: make the proxy listen on an address they can reach, " +
				"such as that of the Docker bridge"
		}
	}
	return []finding{f}
}

// checkBuildspec reports whether the project and the buildspec can be read. The problems
// themselves are left to validate, which shows each with its line.
func checkBuildspec(_ context.Context, d *diagnosis) []finding {
	if d.inputsErr != nil {
		var problems diag.List
		if errors.As(d.inputsErr, &problems) {
			first := problems[max(0, slices.IndexFunc(problems, func(p diag.Problem) bool { return p.Severity == diag.Error }))]
			// Its excerpt of the file is left out; the position is enough here.
			return []finding{
				{
					Check:   "buildspec",
					Verdict: verdictFail,
					Message: firstLine(first.String()),
					Fix:     validateFix(problems),
				},
			}
		}
		return []finding{failed("buildspec", verdictFail, d.inputsErr)}
	}
	if d.noBuildspec { // a warning: the machine may be fine, and exit code 3 is for mistakes
		return []finding{
			{
				Check:   "buildspec",
				Verdict: verdictInfo,
				Message: "no buildspec.yml in " + d.app.Tilde(local.RealDir(d.flags.Source.Dir)),
				Fix:     "buildlocal init, or set -C or -b",
			},
		}
	}
	file, problems := d.inputs.Spec.File, d.inputs.Problems
	if len(problems) == 0 {
		return []finding{ok("buildspec", file)}
	}
	var counts []string
	for _, s := range []diag.Severity{diag.Warning, diag.Lint} { // errors are an inputsErr
		if n := problems.Count(s); n > 0 {
			counts = append(counts, human.Count(n, s.String()))
		}
	}
	message := file + ": " + human.Series(counts)
	return []finding{warning("buildspec", message, "buildlocal validate")}
}

// validateFix returns the command that shows or repairs the problems of a buildspec.
func validateFix(problems diag.List) string {
	if slices.ContainsFunc(problems, func(p diag.Problem) bool { return p.Fix != nil && p.Fix.Safe }) {
		return "buildlocal validate --fix"
	}
	return "buildlocal validate"
}

// firstLine returns a text up to its first line break.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
