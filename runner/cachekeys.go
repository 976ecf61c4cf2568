package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/cache"
	"github.com/buildlocal/buildlocal/internal/tree"
)

// resolve expands the paths and keys of the cache section with the build's shell. The
// cache is not used if its key is empty or contains a secret, because keys are stored and
// printed.
func (s *cacheStep) resolve(ctx context.Context) error {
	c := s.plan.Cache
	s.name = cache.Name{Scope: s.CacheScope, Paths: c.Paths}
	s.paths = cache.Paths{Source: s.plan.Sources[0].Path}
	if err := s.resolvePaths(ctx); err != nil {
		return err
	}
	if s.customDir() != "" {
		return s.linkCustom(ctx)
	}
	if !s.open() {
		return nil // without a store, a key needs no command
	}
	usable, err := s.resolveKeys(ctx)
	if err != nil || !usable {
		return err
	}
	s.name.Arch, err = s.shells.architecture(ctx)
	s.active = err == nil
	return err
}

// resolveKeys expands the key and the fallback keys, and reports whether the cache can be used
// with the key.
func (s *cacheStep) resolveKeys(ctx context.Context) (usable bool, err error) {
	c, cause := s.plan.Cache, ""
	if s.name.Key, cause, err = s.key(ctx, c.Key); err != nil {
		return false, err
	}
	switch {
	case cause != "":
		s.warnAt("key", cause, "not used: its key %s cannot be computed", c.Key)
		return false, nil
	case c.Key != "" && s.name.Key == "":
		s.warnAt("key", "", "not used: its key %s is empty", c.Key)
		return false, nil
	case s.rec.isSecret(s.name.Key):
		s.warnAt("key", "", "not used: its key %s contains a secret", c.Key)
		return false, nil
	}
	for i, text := range c.FallbackKeys {
		key, cause, err := s.key(ctx, text)
		if err != nil {
			return false, err
		}
		entry := fmt.Sprintf("fallback-keys[%d]", i)
		switch {
		case cause != "":
			s.warnAt(entry, cause, "fallback key %s skipped: it cannot be computed", text)
		case key == "": // an empty prefix would match every key
			s.warnAt(entry, "", "fallback key %s skipped: it is empty", text)
		case s.rec.isSecret(key):
			s.warnAt(entry, "", "fallback key %s skipped: it contains a secret", text)
		default:
			s.name.Fallbacks = append(s.name.Fallbacks, key)
		}
	}
	return true, nil
}

func (s *cacheStep) resolvePaths(ctx context.Context) error {
	for i, p := range s.plan.Cache.Paths {
		expanded, err := s.shells.expand(ctx, homeOf(p))
		if errors.Is(err, errExpand) {
			s.warnAt(pathEntry(i), "", "path skipped: %v", err)
			continue
		}
		if err != nil {
			return err
		}
		s.rec.say("Expanded cache path %s", expanded)
		pattern := s.paths.Pattern(expanded)
		if cache.IsVirtual(s.paths.PathOf(pattern)) {
			s.warnAt(pathEntry(i), "", "path %s skipped: it has files of the kernel", expanded)
			continue
		}
		s.paths.Patterns = append(s.paths.Patterns, pattern)
		s.entries = append(s.entries, pathEntry(i))
	}
	return nil
}

// pathEntry returns the key path, below the cache section, of a path.
func pathEntry(i int) string { return fmt.Sprintf("paths[%d]", i) }

// homeOf replaces a leading ~, which the shell does not expand inside quotes.
func homeOf(pattern string) string {
	if pattern == "~" || strings.HasPrefix(pattern, "~/") {
		return "$HOME" + pattern[1:]
	}
	return pattern
}

// key expands a key. cause is the reason, as the shell printed it, if a command in the key
// fails; the key is empty then.
func (s *cacheStep) key(ctx context.Context, key string) (expanded, cause string, err error) {
	if computed, ok := s.keys[key]; ok {
		return computed, "", nil
	}
	if !strings.ContainsAny(key, "$`") {
		return strings.TrimSpace(key), "", nil
	}
	printed, exit, err := s.shells.capture(ctx, fmt.Sprintf(keyScript, key))
	printed = strings.TrimSpace(printed)
	if err == nil && exit != 0 {
		return "", cmp.Or(lastLine(printed), fmt.Sprintf("exit status %d", exit)), nil
	}
	return printed, "", err
}

// lastLine returns the last line of a text, without the place that shells put before their
// messages.
func lastLine(text string) string {
	line := text[strings.LastIndexByte(text, '\n')+1:]
	return strings.TrimSpace(shellPlace().ReplaceAllString(line, ""))
}

// keyScript prints a key. Error messages of its commands are not part of the key; they are
// printed if a command fails.
const keyScript = `{ key="%s"; } 2>` + StateDir + `/complaints || { cat ` + StateDir + `/complaints; exit 1; }
printf %%s "$key"`

// uncomputedKeys returns the keys that the shell must expand.
func (s *cacheStep) uncomputedKeys() []string {
	c := s.plan.Cache
	if c == nil || s.OpenCache == nil {
		return nil
	}
	var all []string
	for _, key := range append([]string{c.Key}, c.FallbackKeys...) {
		if _, computed := s.keys[key]; !computed {
			all = append(all, key)
		}
	}
	return all
}

// computeKeys expands the keys for which no shell is needed.
func (s *cacheStep) computeKeys() {
	s.keys = map[string]string{}
	for _, key := range append([]string{s.plan.Cache.Key}, s.plan.Cache.FallbackKeys...) {
		if text, ok := s.compute(key); ok && !s.rec.isSecret(text) {
			s.keys[key] = strings.TrimSpace(text)
		}
	}
}

// computable matches the expansions that need no shell: a variable, and the hash of files
// of the source.
var computable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$(\w+)|\$\{(\w+)\}|\$\(` + HashFiles + ` +([^()$` + "`" + `]*)\)`)
})

// compute expands a text exactly as the build's shell does, before the container exists.
// It reports false if the text contains anything else than computable expansions.
func (s *cacheStep) compute(text string) (string, bool) {
	ok := true
	expanded := computable().ReplaceAllStringFunc(text, func(found string) string {
		parts := computable().FindStringSubmatch(found)
		value, known := s.computeVariable(parts[1] + parts[2])
		if parts[3] != "" {
			value, known = s.computeHash(parts[3])
		}
		ok = ok && known
		return value
	})
	rest := computable().ReplaceAllString(text, "")
	return expanded, ok && !strings.ContainsAny(rest, "$`\"\\")
}

// computeVariable returns the value of a variable. It is unknown if commands of runtimes,
// which run before the cache is restored, may change it.
func (s *cacheStep) computeVariable(name string) (string, bool) {
	if len(s.plan.Runtimes) > 0 {
		return "", false
	}
	for _, v := range s.plan.Variables {
		if v.Name == name {
			return s.values[name].Reveal(), !v.Expand
		}
	}
	const home = "/root" // of root, if the plan does not set HOME
	return home, name == "HOME"
}

// MaxHashedFile is the size of the largest file, in bytes, that is read through
// Runner.HostFS for a key. The build itself hashes larger files, within its timeout.
const MaxHashedFile = 1 << 30

// computeHash hashes files of the source on the host. words are the arguments of
// HashFiles. It reports false for words that a shell would change, and for links, which
// may lead to another file in the container.
func (s *cacheStep) computeHash(words string) (string, bool) {
	source := s.plan.Sources[0].Tree
	if s.HostFS == nil {
		return "", false
	}
	var patterns []string
	for _, word := range strings.Fields(words) {
		plain := strings.Trim(word, `'"`)
		quoted := len(word) == len(plain)+2 && word[0] == word[len(word)-1]
		if plain != word && !quoted || !quoted && !tree.IsLiteral(word) || strings.ContainsAny(plain, `'"|;&<>#~`) {
			return "", false
		}
		patterns = append(patterns, plain)
	}
	hidden := func(name string) bool {
		return slices.ContainsFunc(source.Hide, func(h string) bool { return name == h || strings.HasPrefix(name, h+"/") })
	}
	fsys := s.HostFS(source.Host)
	names, err := tree.Glob(fsys, patterns, hidden)
	isLink := func(name string) bool { return !isRegular(fsys, name) }
	if err != nil || len(names) == 0 || slices.ContainsFunc(names, isLink) {
		return "", false
	}
	hash, err := tree.Hash(fsys, names)
	return hash, err == nil
}

// isRegular reports whether a name is a regular file itself, not a link to one. fs.Stat
// follows links, but the directory has the type of the name.
func isRegular(fsys fs.FS, name string) bool {
	entries, err := fs.ReadDir(fsys, path.Dir(name))
	return err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == path.Base(name) && e.Type().IsRegular()
	})
}
