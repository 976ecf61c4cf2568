package image

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/buildlocal/buildlocal/engine"
)

// binfmt is the directory in which Linux lists the interpreters of foreign programs.
const binfmt = "/proc/sys/fs/binfmt_misc"

// machines has the field e_machine of an ELF header, in the byte order of binfmt_misc, for
// the kernel's names of architectures.
var machines = map[string]string{"x86_64": "3e00", "aarch64": "b700", "i386": "0300", "arm": "2800"}

// matchesMachine reports whether an entry of binfmt_misc is for programs of an
// architecture, by the bytes that it compares with the head of a program.
func matchesMachine(entry, arch string) bool {
	const elf, at = "7f454c46", 36 // hex digits before e_machine
	for line := range strings.Lines(entry) {
		if magic, is := strings.CutPrefix(strings.TrimSpace(line), "magic "); is && strings.HasPrefix(magic, elf) &&
			len(magic) >= at+4 {
			return magic[at:at+4] == machines[arch]
		}
	}
	return false
}

// kernelNames maps Go's names of architectures to the kernel's, if they differ.
var kernelNames = map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i386"}

// Emulator returns the interpreter for programs of an architecture, such as arm64, or "" if
// this host has none. known is false if the host does not support binfmt_misc.
func Emulator(arch string) (program string, known bool) { return findEmulator(binfmt, arch) }

// findEmulator is Emulator with the directory of binfmt_misc.
func findEmulator(dir, arch string) (program string, known bool) {
	// The file exists if the file system is mounted, which containers and old kernels lack.
	if _, err := os.Stat(filepath.Join(dir, "status")); err != nil {
		return "", false
	}
	if name, other := kernelNames[arch]; other {
		arch = name
	}
	// The number of entries is small, and their names are arbitrary.
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(text), "enabled\n") {
			continue
		}
		if interpreter := interpreterFor(string(text), arch); interpreter != "" {
			return interpreter, true
		}
	}
	return "", true
}

// interpreterFor returns the interpreter of an entry if it is for an architecture. QEMU and
// Rosetta are known by name; others, such as FEX, by the magic of the entry.
func interpreterFor(entry, arch string) string {
	for line := range strings.Lines(entry) {
		interpreter, is := strings.CutPrefix(strings.TrimSpace(line), "interpreter ")
		if !is {
			continue
		}
		name := filepath.Base(interpreter)
		if strings.HasPrefix(name+"-", "qemu-"+arch+"-") || name == "rosetta" && arch == "x86_64" ||
			matchesMachine(entry, arch) {
			return interpreter
		}
	}
	return ""
}

// runsNatively reports whether a host runs programs of a platform without an emulator.
// 64-bit hosts also run programs of the 32-bit architecture before them.
func runsNatively(has, native string) bool {
	older := map[string]string{"linux/amd64": "linux/386", "linux/arm64": "linux/arm"}
	return platformMatches(has, native) || older[native] != "" && platformMatches(has, older[native])
}

// checkRunnable returns a fault for an image of another architecture if this host is the
// engine's and is known to have no emulator for it. The message begins with the subject, such as
// "image x is".
func (st *Store) checkRunnable(subject, has, native string) error {
	parts := strings.Split(has, "/")
	if st.conn.CheckLocal() != nil || len(parts) < 2 {
		return nil
	}
	program, known := Emulator(parts[1])
	if !known || program != "" {
		return nil
	}
	return &engine.Fault{Kind: engine.WrongArch,
		Message: subject + " for " + has + ", this host is " + native + " and has no emulator",
		Hint: "Install an emulator (apt-get install qemu-user-static binfmt-support, or docker run --privileged --rm " +
			"tonistiigi/binfmt --install " + parts[1] + "), or run the image for this host if it exists: " +
			"--platform " + native + "."}
}
