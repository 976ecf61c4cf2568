package relay

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// libraryDirs are the directories of shared libraries, in addition to that of the loader.
var libraryDirs = []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"}

// sharedLibraries returns the loader of a Linux program and, recursively, the libraries it
// is linked with. Both are empty for a static program. Released programs are static; one
// that was built by go install is linked with the C library if cgo is enabled.
func sharedLibraries(program string) ([]string, error) {
	loader, needed, err := dynamicDeps(program)
	if err != nil || loader == "" {
		return nil, err
	}
	all := []string{loader}
	dirs := append([]string{filepath.Dir(loader)}, libraryDirs...)
	if real, err := filepath.EvalSymlinks(loader); err == nil {
		dirs = append([]string{filepath.Dir(real)}, dirs...)
	}
	for len(needed) > 0 {
		file := findLibrary(needed[0], dirs)
		if file == "" {
			return nil, fmt.Errorf("library %s not found; build it with CGO_ENABLED=0", needed[0])
		}
		needed = needed[1:]
		if slices.Contains(all, file) {
			continue
		}
		all = append(all, file)
		_, more, err := dynamicDeps(file)
		if err != nil {
			return nil, err
		}
		needed = append(needed, more...)
	}
	slices.Sort(all[1:])
	return all, nil
}

// findLibrary searches the directories in their order, as the loader does without a cache.
func findLibrary(name string, dirs []string) string {
	for _, dir := range dirs {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

// dynamicDeps returns the loader of a program, and the names of the libraries it needs
// directly.
func dynamicDeps(file string) (loader string, libraries []string, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", nil, fmt.Errorf("%w: not a program for Linux", err)
	}
	defer f.Close()
	// A static program has no such section.
	if section := f.Section(".interp"); section != nil {
		text, err := section.Data()
		if err != nil {
			return "", nil, err
		}
		loader = string(bytes.TrimRight(text, "\x00"))
	}
	libraries, err = f.ImportedLibraries()
	return loader, libraries, err
}
