package project

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// The facts about images stand in this file. They were read in April 2026 in
// the user guide, "Docker images provided by CodeBuild" and "Deprecated
// CodeBuild images", and in the repository that holds the Dockerfiles.
const (
	curated    = "aws/codebuild/"            // the service's own images
	gallery    = "public.ecr.aws/codebuild/" // where those on Amazon Linux are published
	repository = "https://github.com/aws/aws-codebuild-docker-images"
)

// DefaultImage returns the curated image a build gets when nobody names one, for
// an architecture as Go names it: amd64 or arm64. These are the newest that the
// user guide lists and that are known to be published.
func DefaultImage(arch string) string {
	if arch == "arm64" {
		return curated + "amazonlinux-aarch64-standard:3.0"
	}
	return curated + "amazonlinux-x86_64-standard:5.0"
}

// amazonLinux are the images on Amazon Linux, by what follows "amazonlinux-".
// Until 22 November 2024 their names began with "amazonlinux2-", and both
// spellings stay valid. That the Lambda images are published is not documented.
var amazonLinux = []string{
	"x86_64-standard", "aarch64-standard", "x86_64-lambda-standard", "aarch64-lambda-standard",
}

// ImageSpellings returns what may be had for a configured image name, best
// first. For a curated image on Amazon Linux that is the name itself, which can
// only be local, then its new and its old name in the public gallery; for any
// other image it is the name alone.
func ImageSpellings(configured string) []string {
	name, version := splitImage(configured)
	family, ok := amazonLinuxFamily(name)
	if !ok {
		return []string{configured}
	}
	return []string{
		configured,
		gallery + "amazonlinux-" + family + version,
		gallery + "amazonlinux2-" + family + version,
	}
}

// Curated returns the whole name of a curated image that is named without
// aws/codebuild/, such as standard:7.0; other names as they are.
func Curated(image string) string {
	name, version := splitImage(image)
	_, known := amazonLinuxFamily(curated + name)
	if version != "" && (known || name == "standard" && mainVersion().MatchString(version[1:])) {
		return curated + image
	}
	return image
}

// splitImage returns an image's name and its tag or digest with the ":" or "@".
func splitImage(image string) (name, version string) {
	i := strings.IndexByte(image, '@')
	if i < 0 {
		i = strings.LastIndexByte(image, ':')
	}
	if i < 0 || strings.Contains(image[i:], "/") {
		return image, ""
	}
	return image[:i], image[i:]
}

func amazonLinuxFamily(name string) (family string, ok bool) {
	rest, ok := strings.CutPrefix(name, curated)
	family, isNew := strings.CutPrefix(rest, "amazonlinux-")
	if !isNew {
		family, _ = strings.CutPrefix(rest, "amazonlinux2-")
	}
	return family, ok && family != rest && slices.Contains(amazonLinux, family)
}

// perLanguage are the images of one language each that came before the standard
// images. Only their Dockerfiles are left, under unsupported_images.
var perLanguage = []string{
	"android-java-6", "android-java-7", "android-java-8", "docker", "dot-net", "golang", "java",
	"nodejs", "php", "python", "ruby", "ubuntu-base",
}

// otherSystems are the images that are not Linux.
var otherSystems = map[string]string{"windows-base": "Windows", "macos-arm-base": "macOS"}

// Unpublished reports whether configured is a curated image that cannot be
// pulled because nobody publishes it, and says in a sentence or two what to do.
// Someone may still have built the image under that name: look for it first.
func Unpublished(configured string) (way string, unpublished bool) {
	name, version := splitImage(configured)
	family, ok := strings.CutPrefix(name, curated)
	if _, isPublished := amazonLinuxFamily(name); !ok || isPublished {
		return "", false
	}
	switch {
	case family == "standard":
		return buildUbuntu(configured, strings.TrimLeft(version, ":")), true
	case slices.Contains(perLanguage, family):
		return fmt.Sprintf("%s is an image of one language, which nobody publishes and the service no longer supports. "+
			"Use %s and name the language in runtime-versions, or build the image from unsupported_images/%s in %s.",
			configured, DefaultImage("amd64"), family, repository), true
	case otherSystems[family] != "":
		return fmt.Sprintf("%s is a %s image, which nobody publishes and which cannot run here. Use a Linux image such as %s.",
			configured, otherSystems[family], DefaultImage("amd64")), true
	}
	return UnknownCurated(configured)
}

func meantImage(name, version string) string {
	known := []string{"standard"}
	for _, family := range amazonLinux {
		known = append(known, "amazonlinux-"+family, "amazonlinux2-"+family)
	}
	if meant := diag.Suggest(short(strings.TrimPrefix(name, curated)), known); meant != "" {
		return fmt.Sprintf("; did you mean %s?", shown(curated+meant+version))
	}
	return "; use one such as " + DefaultImage("amd64") + "."
}

// UnknownCurated reports whether image is called like the service's own images
// and is none of them, and says in a sentence what may be meant.
func UnknownCurated(image string) (way string, wrong bool) {
	name, version := splitImage(image)
	family, ok := strings.CutPrefix(name, curated)
	_, published := amazonLinuxFamily(name)
	if !ok || published || family == "standard" || slices.Contains(perLanguage, family) || otherSystems[family] != "" {
		return "", false
	}
	return fmt.Sprintf("%s is not a curated image buildlocal knows%s", image, meantImage(name, version)), true
}

// CuratedName returns the name of one of the service's own images as the tables
// of images have it: without aws/codebuild/ or a registry, in the new spelling
// and with the main version only, such as amazonlinux-x86_64-standard:5.0.
func CuratedName(image string) (string, bool) {
	name, version := splitImage(strings.TrimPrefix(image, gallery))
	name = strings.TrimPrefix(name, curated)
	if m := mainVersion().FindStringSubmatch(strings.TrimPrefix(version, ":")); m != nil {
		version = ":" + m[1]
	}
	name = strings.Replace(name, "amazonlinux2-", "amazonlinux-", 1)
	ok := strings.HasPrefix(image, curated) || strings.HasPrefix(image, gallery)
	return name + version, ok
}

// HasDocker reports whether an environment type has docker without privileged
// mode: Windows and macOS have no such mode.
func HasDocker(environmentType string) bool {
	return strings.HasPrefix(environmentType, "WINDOWS") || strings.HasPrefix(environmentType, "MAC")
}

// mainVersion is the version of a tag such as 7.0 or 7.0-23.07.28.
var mainVersion = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d+\.\d+)(?:-[\w.]+)?$`)
})

// buildUbuntu says how to come by an image on Ubuntu.
func buildUbuntu(configured, tag string) string {
	no := configured + " is not published: AWS gives only its Dockerfile, in " + repository + "."
	if mainVersion().FindStringSubmatch(tag) == nil {
		return no + " Name one with its version, such as " + curated + "standard:7.0."
	}
	return fmt.Sprintf("%s buildlocal image build standard:%s makes it from a clone of that.", no, tag)
}

// Repository is where the Dockerfiles of the curated images are.
const Repository = repository

// DockerfileDirs returns where the Dockerfile of a curated image may be in a clone of
// Repository, the likeliest first, slash-separated; nothing for an image that has none.
// (Images that are no longer supported have been moved.)
func DockerfileDirs(configured string) []string {
	name, curatedName := CuratedName(configured)
	family, version, _ := strings.Cut(name, ":")
	top := map[string]string{
		"standard": "ubuntu/standard/", "amazonlinux-x86_64-standard": "al/x86_64/standard/", "amazonlinux-aarch64-standard": "al/aarch64/standard/",
	}[family]
	if !curatedName || version == "" {
		return nil
	}
	if top == "" && slices.Contains(perLanguage, family) {
		top = family + "/"
		return []string{"unsupported_images/" + "ubuntu/" + top + version, "unsupported_images/" + top + version}
	}
	if top == "" {
		return nil
	}
	old := strings.NewReplacer("al/x86_64/standard/", "al2/x86_64/standard/", "al/aarch64/standard/", "al2/aarch64/standard/").Replace(top)
	if old == top {
		return []string{top + version, "unsupported_images/" + top + version}
	}
	return []string{top + version, old + version, "unsupported_images/" + top + version, "unsupported_images/" + old + version}
}

// deprecated are the images the service neither updates nor keeps at hand, in
// the new spelling. The first three have no date in the user guide; that they
// are unsupported is known from where their Dockerfiles stand.
var deprecated = []struct{ image, since, successor string }{
	{"amazonlinux-x86_64-standard:1.0", "", "amazonlinux-x86_64-standard:5.0"},
	{"standard:1.0", "", "standard:7.0"},
	{"standard:2.0", "", "standard:7.0"},
	{"amazonlinux-x86_64-standard:2.0", "30 June 2022", "amazonlinux-x86_64-standard:5.0"},
	{"standard:3.0", "30 June 2022", "standard:7.0"},
	{"amazonlinux-aarch64-standard:1.0", "31 March 2023", "amazonlinux-aarch64-standard:3.0"},
	{"standard:4.0", "31 March 2023", "standard:7.0"},
	{"amazonlinux-x86_64-standard:3.0", "9 May 2023", "amazonlinux-x86_64-standard:5.0"},
}

// DeprecatedImage returns a warning when configured is an image the user guide
// calls deprecated, else "". The service still runs such an image.
func DeprecatedImage(configured string) string {
	name, version := splitImage(configured)
	if m := mainVersion().FindStringSubmatch(strings.TrimPrefix(version, ":")); m != nil {
		version = ":" + m[1]
	}
	family, ok := strings.CutPrefix(name, curated)
	family = strings.Replace(family, "amazonlinux2-", "amazonlinux-", 1)
	for _, d := range deprecated {
		if !ok || d.image != family+version {
			continue
		}
		since := ""
		if d.since != "" {
			since = " since " + d.since
		}
		return fmt.Sprintf("%s is deprecated%s and no longer updated; use %s", configured, since, curated+d.successor)
	}
	return ""
}
