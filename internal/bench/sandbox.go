package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Names of the arms that need no Docker daemon, as root and as a non-root user, and of the
// arms of unpack with their reference.
const (
	host           = "buildlocal, engine host"
	sandbox        = "buildlocal, engine sandbox"
	hostNonRoot    = "buildlocal, engine host, non-root user"
	sandboxNonRoot = "buildlocal, engine sandbox, non-root user"
	untar          = "tar xf"
	unpack         = "buildlocal image pull"
)

// testUser is the non-root user that scripts/setup creates. It has subordinate user IDs.
const testUser = "buildlocal-tester"

// daemonlessSetup has the prerequisites of the arms without a Docker daemon.
type daemonlessSetup struct {
	absent string      // why the arms are unavailable; empty if they are available
	image  string      // archive of docker save
	user   *credential // the non-root user; nil if there is no such user
}

// prepareDaemonless unpacks the image into two image stores, one for root and one for the
// non-root user, so that the arms measure builds and not the first pull. Only root can run
// a program as another user.
func (b *bench) prepareDaemonless(ctx context.Context) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		b.daemonless.absent = "needs Linux and root"
		return nil
	}
	b.daemonless.image = filepath.Join(b.temp, "image.tar")
	if err := os.Chmod(b.temp, 0o755); err != nil { // the other user reads the image and the job's directory
		return err
	}
	if out, err := exec.CommandContext(ctx, "docker", "save", "-o", b.daemonless.image,
		b.image).CombinedOutput(); err != nil {
		b.daemonless.absent = "no image to save"
		fmt.Fprintf(b.stderr, "docker save: %v: %s\n", err, out)
		return nil
	}
	err := os.Chmod(b.daemonless.image, 0o644) // docker save creates it for root only
	if u, unknown := user.Lookup(testUser); unknown == nil && err == nil {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		err = errors.Join(os.Mkdir(b.home(true), 0o755), os.Chown(b.home(true), uid, gid))
		b.daemonless.user = &credential{uid, gid}
	}
	if err != nil {
		return err
	}
	for _, nonRoot := range []bool{false, true} {
		a := b.daemonlessArm(nonRoot, job{dir: b.temp}, unpack, "images", "pull", "tar:"+b.daemonless.image)
		if a.result.Absent != "" {
			continue
		}
		// If it fails, the arms of builds fail too, and the table has their errors.
		if _, failed := a.run(ctx); failed != nil {
			fmt.Fprintf(b.stderr, "%v: %v\n", a.args, failed)
		}
	}
	return nil
}

// home returns the directory for the image store and the output of a user.
func (b *bench) home(nonRoot bool) string {
	return filepath.Join(b.temp, "home-"+map[bool]string{false: "root", true: "non-root"}[nonRoot])
}

// daemonlessArm returns an arm of buildlocal that runs as root or as the non-root user, with
// a separate home directory. It is absent, not failed, on machines without the
// prerequisites.
func (b *bench) daemonlessArm(nonRoot bool, j job, name string, args ...string) *arm {
	a := b.required(j.arm(name, buildspec(j), slices.Concat([]string{b.program}, args)...))
	// Images and caches are below XDG_CACHE_HOME, so a run never uses those of the user who
	// runs the benchmark.
	a.env = []string{"HOME=" + b.home(nonRoot), "XDG_CACHE_HOME=" + b.home(nonRoot)}
	if nonRoot {
		a.user = b.daemonless.user
	}
	// A missing prerequisite is more useful to know than a missing binary, which the other
	// arms report anyway.
	switch {
	case b.daemonless.absent != "":
		a.result.Absent, a.result.Failure = b.daemonless.absent, ""
	case nonRoot && a.user == nil:
		a.result.Absent, a.result.Failure = "no user "+testUser, ""
	}
	return a
}

// daemonlessArms returns the arms that run a job without a Docker daemon. The output
// directory is set because the non-root user cannot write to the job's directory.
func (b *bench) daemonlessArms(j job) []*arm {
	var arms []*arm
	for _, kind := range []struct {
		name    string
		nonRoot bool
		flags   []string
	}{
		{host, false, []string{"--engine", "host"}},
		{hostNonRoot, true, []string{"--engine", "host"}},
		{sandbox, false, []string{"--engine", "sandbox", "-i", b.image, "--pull", "never"}},
		{sandboxNonRoot, true, []string{"--engine", "sandbox", "-i", b.image, "--pull", "never"}},
	} {
		out := filepath.Join(b.home(kind.nonRoot), j.workload)
		args := slices.Concat([]string{"run", "-C", j.dir, "-o", out}, kind.flags)
		arms = append(arms, b.daemonlessArm(kind.nonRoot, j, kind.name, args...))
	}
	return arms
}

// unpackArms returns arms that unpack the layers of a large image, with buildlocal and with
// tar. Both read the same layers, which
// are not compressed, and write to new directories beside each other.
//
// The output is removed at the end of the run, not before: ext4 does not reuse the inodes of
// removed files for some minutes, and searches all of them for each new file.
func (b *bench) unpackArms(ctx context.Context) []*arm {
	j := job{workload: "unpack", rounds: min(b.rounds, maxHeavyRounds), dir: b.temp}
	if b.daemonless.absent != "" {
		return nil
	}
	const large = "buildlocal-test/curated"
	saved := filepath.Join(b.temp, "large")
	script := fmt.Sprintf("mkdir %[1]s && docker save %[2]s | tar xf - -C %[1]s", saved, large)
	out, err := exec.CommandContext(ctx, "sh", "-c", script).CombinedOutput()
	if err != nil {
		fmt.Fprintf(b.stderr, "unpack: %v: %s\n", err, out)
		return nil
	}
	layers, err := ociLayout(saved)
	if err != nil {
		fmt.Fprintf(b.stderr, "unpack: %v\n", err)
		return nil
	}
	program, err := filepath.Abs(b.program)
	if err != nil {
		return nil
	}
	return []*arm{
		j.arm(untar, config{}, "sh", "-c", "d=$(mktemp -d "+b.temp+"/tar.XXXXXX) && for l in "+strings.Join(layers, " ")+
			"; do n=$d/$(basename $l) && mkdir $n && tar xf $l -C $n || exit; done"),
		j.arm(unpack, config{}, "sh", "-c",
			"XDG_CACHE_HOME=$(mktemp -d "+b.temp+"/store.XXXXXX) exec "+program+" images pull oci:"+saved),
	}
}
