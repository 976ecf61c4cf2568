package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// label is on all containers of docker run, so that cleanUp finds them.
const label = "dev.buildlocal.bench"

// Names of arms that targets refer to. They are also in the JSON report, where a comparison
// of two runs uses them.
const (
	dockerRun    = "docker run"
	buildlocal   = "buildlocal"
	baseline     = "baseline: cobra's help, and the main dependencies"
	help         = "buildlocal --help"
	plan         = "buildlocal plan"
	validate     = "buildlocal validate"
	validateMany = "buildlocal validate, 300 files"
)

// arm is one program with the arguments for one job.
type arm struct {
	result *Result
	config config
	args   []string // the program first
	dir    string   // working directory, which contains the configuration
	lines  int      // minimum number of lines of output
	rounds int
	env    []string    // added to the environment
	user   *credential // nil for the current user
}

// credential identifies the user of a process.
type credential struct{ uid, gid int }

// arms returns an arm for every program that can run a job. Programs that are not installed
// are included and marked as absent, so that the table lists them. docker run, the
// reference of all ratios, comes first.
func (b *bench) arms(j job) []*arm {
	if j.dir == "" {
		j.dir = filepath.Join(b.temp, j.workload)
	}
	mount := []string{}
	if j.source {
		mount = []string{"-v", j.dir + ":/src", "-w", "/src"}
	}
	// No arm pulls the image: a look at the registry would measure the network.
	arms := []*arm{
		j.arm(dockerRun, config{}, b.docker(j, mount...)...),
		b.required(j.arm(buildlocal, buildspec(j), b.program, "run", "-C", j.dir, "-i", b.image, "--pull", "never")),
	}
	peers := []*arm{
		j.arm("act", workflow(j), "act", "push", "-P", "bench="+b.image, "--pull=false", "--rm"),
		j.arm("gitlab-ci-local", gitlabCI(j, b.image), "gitlab-ci-local",
			"--helper-image", b.image, "--pull-policy", "if-not-present"),
		j.arm("woodpecker-cli", woodpecker(j, b.image), "woodpecker-cli", "exec",
			"--backend-engine", "docker", "--pipeline-event", "manual", ".woodpecker.yaml"),
	}
	for _, a := range peers {
		if j.source { // some of them copy all of its files, which takes seconds
			a.rounds = min(a.rounds, maxHeavyRounds)
		}
	}
	if j.workload != "W4" {
		arms = append(arms, b.daemonlessArms(j)...)
	}
	return slices.Concat(arms, peers)
}

// docker returns the command line of a docker run that runs all commands of a job as one
// script. flags are added to those of docker run.
func (b *bench) docker(j job, flags ...string) []string {
	return slices.Concat(
		[]string{"docker", "run", "--rm", "--pull", "never", "--label", label + "=" + b.id}, flags,
		[]string{b.image, "sh", "-c", strings.Join(j.commands, "\n")})
}

// logArms returns two additional arms for W4. They show which part of docker run's time is
// spent on the daemon's JSON log file, and which part on producing the output.
func (b *bench) logArms(j job) []*arm {
	j.dir = b.temp // they need no configuration
	return []*arm{
		j.arm("docker run --log-driver none", config{}, b.docker(j, "--log-driver", "none")...),
		j.arm("the generator alone", config{}, "sh", "-c", strings.Join(j.commands, "\n")),
	}
}

// startupArms returns arms of commands that start no build. They run in Git hooks and
// editors, where a delay is noticed. The baseline is not required, because only the targets
// that refer to it need it.
func (b *bench) startupArms() []*arm {
	j := job{workload: "startup", commands: []string{"true"}, rounds: b.rounds, dir: filepath.Join(b.temp, "startup")}
	typical := j
	typical.commands, typical.dir = slices.Repeat(sampleCommands, 3), filepath.Join(b.temp, "checked")
	base := j.arm(baseline, config{}, b.baseline)
	if base.result.Absent != "" {
		base.result.Absent = b.baseline + " does not exist: run make bench to build it"
	}
	return []*arm{
		base,
		b.required(j.arm(help, buildspec(j), b.program, "--help")),
		b.required(j.arm(plan, buildspec(j), b.program, "plan", "-C", j.dir, "-i", b.image)),
		b.required(typical.arm(validate, buildspec(typical), b.program, "validate", "-C", typical.dir)),
		b.required(typical.arm(validateMany, buildspec(typical), slices.Concat([]string{b.program, "validate"},
			slices.Repeat([]string{"buildspec.yml"}, 300))...)),
	}
}

// sampleCommands are typical commands of buildspecs. validate parses each of them as shell
// code, so a build of echo commands would be too cheap.
var sampleCommands = []string{
	"npm ci --no-audit", "npm run lint -- --max-warnings 0", "if [ -n \"$STAGE\" ]; then npm test; fi",
	"for app in api web; do (cd $app && npm run build) || exit 1; done", "mkdir -p dist && cp -r web/dist/* dist/",
	"aws s3 cp s3://$BUCKET/config.json dist/ && jq -r .version package.json > dist/version",
	"export TAG=$(git rev-parse --short HEAD)",
	"docker build -t \"$REPOSITORY:$TAG\" --build-arg VERSION=\"${TAG:-none}\" .",
}

// arm returns an arm of a job. args[0] is the program; its path is made absolute, because
// the arm runs in another directory. The arm is absent if the program is not installed.
func (j job) arm(name string, c config, args ...string) *arm {
	a := &arm{
		result: &Result{Workload: j.workload, Arm: name},
		config: c, args: args, dir: j.dir, lines: j.lines, rounds: j.rounds,
	}
	path, err := exec.LookPath(args[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		a.result.Absent = "not installed"
		return a
	}
	a.args = slices.Concat([]string{path}, args[1:])
	return a
}

// required marks an arm of buildlocal as failed, not absent, if the binary is missing: a
// report without buildlocal is useless, and bench then exits with an error.
func (b *bench) required(a *arm) *arm {
	if a.result.Absent != "" {
		a.result.Absent = ""
		a.result.Failure = b.program + " does not exist: run make build, or set -buildlocal"
	}
	return a
}

func buildspec(j job) config {
	return config{"buildspec.yml", "version: 0.2\nphases:\n  build:\n    commands:\n" + list("      ", j.commands)}
}

// workflow returns a workflow for act. All commands are in one step, because act starts a
// process for each step. Without the checkout action act does not copy the source into
// the container.
func workflow(j job) config {
	steps := ""
	if j.source {
		steps = "      - uses: actions/checkout@v4\n"
	}
	script := "          " + strings.Join(j.commands, "\n          ") + "\n"
	return config{".github/workflows/bench.yml",
		"on: push\njobs:\n  bench:\n    runs-on: bench\n    steps:\n" + steps + "      - run: |\n" + script}
}

// gitlabCI returns the configuration of gitlab-ci-local, which has no flag for the image.
func gitlabCI(j job, image string) config {
	return config{".gitlab-ci.yml", "bench:\n  image: " + strconv.Quote(image) + "\n  script:\n" + list("    ",
		j.commands)}
}

// woodpecker returns a pipeline for woodpecker-cli. The event in when must be that of the
// command line, or the pipeline is skipped and the arm would be very fast.
func woodpecker(j job, image string) config {
	return config{".woodpecker.yaml", "when:\n  - event: manual\nsteps:\n  - name: bench\n    image: " +
		strconv.Quote(image) + "\n    commands:\n" + list("      ", j.commands)}
}

// list returns a YAML sequence. For ASCII text, strconv.Quote returns a valid double-quoted
// scalar of YAML: both languages have the same escapes for it.
func list(indent string, commands []string) string {
	var b strings.Builder
	for _, c := range commands {
		b.WriteString(indent + "- " + strconv.Quote(c) + "\n")
	}
	return b.String()
}
