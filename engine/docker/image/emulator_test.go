package image

import (
	"os"
	"path/filepath"
	"testing"
)

func TestEmulator_FromBinfmt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, known := findEmulator(dir, "arm64"); known {
		t.Error("a machine that tells nothing is known")
	}
	for name, text := range map[string]string{
		"status": "enabled\n", "register": "",
		"qemu-aarch64": "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\n",
		"qemu-s390x":   "disabled\ninterpreter /usr/bin/qemu-s390x-static\n",
		"python3.11":   "enabled\ninterpreter /usr/bin/python3.11\n",
		"rosetta":      "enabled\ninterpreter /mnt/rosetta\n",
		"FEX-x86": "enabled\ninterpreter /usr/bin/FEXInterpreter\nflags: POCF\noffset 0\nmagic " +
			"7f454c4601010100000000000000000002000300\nmask ffffffffffffff00fffffffffffffffffeffffff\n",
		"qemu-riscv64": "enabled\ninterpreter /usr/libexec/qemu-binfmt/qemu-riscv64\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for arch, want := range map[string]string{
		"arm64": "/usr/bin/qemu-aarch64-static", "s390x": "", "amd64": "/mnt/rosetta",
		"riscv64": "/usr/libexec/qemu-binfmt/qemu-riscv64", "386": "/usr/bin/FEXInterpreter", "riscv": "", "python3.11": "",
	} {
		if got, known := findEmulator(dir, arch); got != want || !known {
			t.Errorf("%s: %q, %t; want %q", arch, got, known, want)
		}
	}
}
