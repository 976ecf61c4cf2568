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

// The arms that need no Docker, as root and as a plain user; and unpacking, beside
// the reference.
const (
	host         = "buildlocal, engine host"
	sandbox      = "buildlocal, engine sandbox"
	hostPlain    = "buildlocal, engine host, plain user"
	sandboxPlain = "buildlocal, engine sandbox, plain user"
	untar        = "tar xf"
	unpack       = "buildlocal image pull"
)

// tester is the plain user that scripts/setup makes for the tests.
const tester = "buildlocal-tester"

// daemonless are the prerequisites of the arms without Docker.
type daemonless struct {
	absent string // why the arms are unavailable; empty if ready
	image  string // a file that docker save wrote
	plain  *owner // nil for no such user
}

// prepareDaemonless unpacks the image into separate stores, for root and for
// a plain user.
func (b *bench) prepareDaemonless(ctx context.Context) error {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		b.without.absent = "needs Linux and root"
		return nil
	}
	b.without.image = filepath.Join(b.temp, "image.tar")
	if err := os.Chmod(b.temp, 0o755); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "docker", "save", "-o", b.without.image,
		b.image).CombinedOutput(); err != nil {
		b.without.absent = "no image to save"
		fmt.Fprintf(b.stderr, "docker save: %v: %s\n", err, out)
		return nil
	}
	err := os.Chmod(b.without.image, 0o644)
	if u, unknown := user.Lookup(tester); unknown == nil && err == nil {
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		err = errors.Join(os.Mkdir(b.home(true), 0o755), os.Chown(b.home(true), uid, gid))
		b.without.plain = &owner{uid, gid}
	}
	if err != nil {
		return err
	}
	for _, plain := range []bool{false, true} {
		a := b.as(plain, job{dir: b.temp}, unpack, "images", "pull", "tar:"+b.without.image)
		if a.result.Absent != "" {
			continue
		}
		if _, failed := a.run(ctx); failed != nil {
			fmt.Fprintf(b.stderr, "%v: %v\n", a.args, failed)
		}
	}
	return nil
}

// home is the directory for the files of a user of these arms.
func (b *bench) home(plain bool) string {
	return filepath.Join(b.temp, "home-"+map[bool]string{false: "root", true: "plain"}[plain])
}

// as returns an arm of ours as root or as a plain user, with a home of its own.
func (b *bench) as(plain bool, j job, name string, args ...string) *arm {
	a := b.own(j.arm(name, buildspec(j), slices.Concat([]string{b.program}, args)...))
	a.env = []string{"HOME=" + b.home(plain), "XDG_CACHE_HOME=" + b.home(plain)}
	if plain {
		a.user = b.without.plain
	}
	switch {
	case b.without.absent != "":
		a.result.Absent, a.result.Failure = b.without.absent, ""
	case plain && a.user == nil:
		a.result.Absent, a.result.Failure = "no user "+tester, ""
	}
	return a
}

// daemonlessArms are a job without Docker.
func (b *bench) daemonlessArms(j job) []*arm {
	var arms []*arm
	for _, kind := range []struct {
		name  string
		plain bool
		flags []string
	}{
		{host, false, []string{"--engine", "host"}},
		{hostPlain, true, []string{"--engine", "host"}},
		{sandbox, false, []string{"--engine", "sandbox", "-i", b.image, "--pull", "never"}},
		{sandboxPlain, true, []string{"--engine", "sandbox", "-i", b.image, "--pull", "never"}},
	} {
		out := filepath.Join(b.home(kind.plain), j.workload)
		a := b.as(kind.plain, j, kind.name, slices.Concat([]string{"run", "-C", j.dir, "-o", out}, kind.flags)...)
		arms = append(arms, a)
	}
	return arms
}

// unpackArms compare unpacking an image with tar doing so. Both read the same layers, which
// are not compressed, and write to new directories beside each other.
//
// The output is removed at the end of the run, not before: ext4 does not reuse the inodes of
// removed files for some minutes, and searches all of them for each new file.
func (b *bench) unpackArms(ctx context.Context) []*arm {
	j := job{workload: "unpack", rounds: min(b.rounds, heavyRounds), dir: b.temp}
	if b.without.absent != "" {
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
