package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// label marks the containers of docker run, so that none is left behind.
const label = "dev.buildlocal.bench"

// The arms that targets speak of.
const (
	dockerRun  = "docker run"
	buildlocal = "buildlocal"
	baseline   = "baseline: cobra's help, and the main dependencies"
	help       = "buildlocal --help"
	plan       = "buildlocal plan"
	validate   = "buildlocal validate"
	many       = "buildlocal validate, 300 files"
)

// arm is one program doing a job.
type arm struct {
	result *Result
	config config
	args   []string // the program first
	dir    string   // working directory, and where config is written
	lines  int      // of output, at least
	rounds int
	env    []string // more variables
	user   *owner   // nil for who runs the bench
}

// owner is a user by number.
type owner struct{ uid, gid int }

// arms returns every program that can do a job, those that are not installed
// too. docker run is the first: the others are compared with it.
func (b *bench) arms(j job) []*arm {
	if j.dir == "" {
		j.dir = filepath.Join(b.temp, j.workload)
	}
	mount := []string{}
	if j.source {
		mount = []string{"-v", j.dir + ":/src", "-w", "/src"}
	}
	arms := []*arm{
		j.arm(dockerRun, config{}, b.docker(j, mount...)...),
		b.own(j.arm(buildlocal, buildspec(j), b.program, "run", "-C", j.dir, "-i", b.image, "--pull", "never")),
	}
	peers := []*arm{
		j.arm("act", workflow(j), "act", "push", "-P", "bench="+b.image, "--pull=false", "--rm"),
		j.arm("gitlab-ci-local", gitlabCI(j, b.image), "gitlab-ci-local",
			"--helper-image", b.image, "--pull-policy", "if-not-present"),
		j.arm("woodpecker-cli", woodpecker(j, b.image), "woodpecker-cli", "exec",
			"--backend-engine", "docker", "--pipeline-event", "manual", ".woodpecker.yaml"),
	}
	for _, a := range peers {
		if j.source { // some copy it
			a.rounds = min(a.rounds, heavyRounds)
		}
	}
	if j.workload != "W4" {
		arms = append(arms, b.daemonlessArms(j)...)
	}
	return slices.Concat(arms, peers)
}

// docker returns a docker run with all commands of a job as one script.
func (b *bench) docker(j job, flags ...string) []string {
	return slices.Concat(
		[]string{"docker", "run", "--rm", "--pull", "never", "--label", label + "=" + b.id}, flags,
		[]string{b.image, "sh", "-c", strings.Join(j.commands, "\n")})
}

// logArms are two more for W4: one without the log that docker keeps by
// default, and the generator with no container.
func (b *bench) logArms(j job) []*arm {
	j.dir = b.temp
	return []*arm{
		j.arm("docker run --log-driver none", config{}, b.docker(j, "--log-driver", "none")...),
		j.arm("the generator alone", config{}, "sh", "-c", strings.Join(j.commands, "\n")),
	}
}

func (b *bench) startupArms() []*arm {
	j := job{workload: "startup", commands: []string{"true"}, rounds: b.rounds, dir: filepath.Join(b.temp, "startup")}
	real := j
	real.commands, real.dir = slices.Repeat(checked, 3), filepath.Join(b.temp, "checked")
	base := j.arm(baseline, config{}, b.baseline)
	if base.result.Absent != "" {
		base.result.Absent = b.baseline + " is not there: make bench builds it"
	}
	return []*arm{
		base,
		b.own(j.arm(help, buildspec(j), b.program, "--help")),
		b.own(j.arm(plan, buildspec(j), b.program, "plan", "-C", j.dir, "-i", b.image)),
		b.own(real.arm(validate, buildspec(real), b.program, "validate", "-C", real.dir)),
		b.own(real.arm(many, buildspec(real), slices.Concat([]string{b.program, "validate"},
			slices.Repeat([]string{"buildspec.yml"}, 300))...)),
	}
}

// checked are commands as buildspecs have them.
var checked = []string{
	"npm ci --no-audit", "npm run lint -- --max-warnings 0", "if [ -n \"$STAGE\" ]; then npm test; fi",
	"for app in api web; do (cd $app && npm run build) || exit 1; done", "mkdir -p dist && cp -r web/dist/* dist/",
	"aws s3 cp s3://$BUCKET/config.json dist/ && jq -r .version package.json > dist/version", "export TAG=$(git " +
		"rev-parse --short HEAD)",
	"docker build -t \"$REPOSITORY:$TAG\" --build-arg VERSION=\"${TAG:-none}\" .",
}

// arm names an arm of a job and looks for its program.
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

// own says of buildlocal that it must be there: without it a run says nothing.
func (b *bench) own(a *arm) *arm {
	if a.result.Absent != "" {
		a.result.Absent = ""
		a.result.Failure = b.program + " is not there: run make build, or name another with -buildlocal"
	}
	return a
}

func buildspec(j job) config {
	return config{"buildspec.yml", "version: 0.2\nphases:\n  build:\n    commands:\n" + list("      ", j.commands)}
}

// workflow has all commands in one step, which is how act is fastest. A checkout
// makes it copy the source.
func workflow(j job) config {
	steps := ""
	if j.source {
		steps = "      - uses: actions/checkout@v4\n"
	}
	script := "          " + strings.Join(j.commands, "\n          ") + "\n"
	return config{".github/workflows/bench.yml",
		"on: push\njobs:\n  bench:\n    runs-on: bench\n    steps:\n" + steps + "      - run: |\n" + script}
}

func gitlabCI(j job, image string) config {
	return config{".gitlab-ci.yml", "bench:\n  image: " + strconv.Quote(image) + "\n  script:\n" + list("    ",
		j.commands)}
}

func woodpecker(j job, image string) config {
	return config{".woodpecker.yaml", "when:\n  - event: manual\nsteps:\n  - name: bench\n    image: " +
		strconv.Quote(image) + "\n    commands:\n" + list("      ", j.commands)}
}

// list returns a YAML sequence. The result of strconv.Quote for ASCII
// text is a double-quoted scalar.
func list(indent string, commands []string) string {
	var b strings.Builder
	for _, c := range commands {
		b.WriteString(indent + "- " + strconv.Quote(c) + "\n")
	}
	return b.String()
}
