package docker

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
)

// binfmt is where the kernel tells which programs run others' programs.
const binfmt = "/proc/sys/fs/binfmt_misc"

// machines are the architectures in the head of a program (e_machine of ELF), as
// binfmt_misc writes what it looks for.
var machines = map[string]string{"x86_64": "3e00", "aarch64": "b700", "i386": "0300", "arm": "2800"}

// runsMachine reports whether an entry of binfmt_misc is for programs of an architecture.
func runsMachine(entry, arch string) bool {
	const elf, at = "7f454c46", 36 // digits before e_machine
	for line := range strings.Lines(entry) {
		if magic, is := strings.CutPrefix(strings.TrimSpace(line), "magic "); is && strings.HasPrefix(magic, elf) && len(magic) >= at+4 {
			return magic[at:at+4] == machines[arch]
		}
	}
	return false
}

// kernelNames are how the emulators call an architecture.
var kernelNames = map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i386"}

// Emulator returns the program that runs other programs for an architecture, such as
// arm64; "" where there is none, and known is false where this machine does not tell.
func Emulator(arch string) (program string, known bool) { return emulatorIn(binfmt, arch) }

func emulatorIn(dir, arch string) (program string, known bool) {
	if _, err := os.Stat(filepath.Join(dir, "status")); err != nil {
		return "", false
	}
	if name, other := kernelNames[arch]; other {
		arch = name
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(text), "enabled\n") {
			continue
		}
		for line := range strings.Lines(string(text)) {
			interpreter, is := strings.CutPrefix(strings.TrimSpace(line), "interpreter ")
			name := filepath.Base(interpreter)
			if is && (strings.HasPrefix(name+"-", "qemu-"+arch+"-") || name == "rosetta" && arch == "x86_64" || runsMachine(string(text), arch)) {
				return interpreter, true
			}
		}
	}
	return "", true
}

// native returns the platform of the engine's machine. An engine is asked once: podman
// takes seconds to answer.
func (e *Engine) native(ctx context.Context) (string, error) {
	if e.isHere() == nil {
		return platform("linux", runtime.GOARCH, ""), nil
	}
	done, err := e.await(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	if e.platform == "" {
		version, err := e.api.ServerVersion(ctx)
		if err != nil {
			return "", e.fault(err, "ask the engine for its architecture")
		}
		e.platform = platform("linux", version.Arch, "")
	}
	return e.platform, nil
}

// isNative reports whether a machine runs programs of a platform itself: also those of
// the 32 bits before.
func isNative(has, native string) bool {
	before := map[string]string{"linux/amd64": "linux/386", "linux/arm64": "linux/arm"}
	return fits(has, native) || before[native] != "" && fits(has, before[native])
}

// runs refuses an image for another architecture where this machine is known to have no
// emulator for it.
func (e *Engine) runs(name, has, native string) error {
	parts := strings.Split(has, "/")
	if e.isHere() != nil || len(parts) < 2 {
		return nil
	}
	program, known := Emulator(parts[1])
	if !known || program != "" {
		return nil
	}
	return &engine.Fault{Kind: engine.WrongArch, Message: "image " + name + " is for " + has + ", this machine is " + native + " and has no emulator",
		Hint: "Install one: apt-get install qemu-user-static binfmt-support, or docker run --privileged --rm tonistiigi/binfmt --install " + parts[1] +
			". Or run it for this machine, where the image is for several: --platform " + native + "."}
}
