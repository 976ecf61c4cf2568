package project

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/buildlocal/buildlocal/internal/diag"
)

// The facts about images in this file are from April 2026. Sources: the pages "Docker images
// provided by CodeBuild" and "Deprecated CodeBuild images" of the user guide, and the
// repository with the Dockerfiles.
const (
	curated    = "aws/codebuild/"            // CodeBuild's curated images
	gallery    = "public.ecr.aws/codebuild/" // where the images on Amazon Linux are published
	repository = "https://github.com/aws/aws-codebuild-docker-images"
)

// DefaultImage returns the curated image of a build without a configured image, for an
// architecture in Go's terms: amd64 or arm64. It is the newest image that the user guide
// lists and that is known to be published.
func DefaultImage(arch string) string {
	if arch == "arm64" {
		return curated + "amazonlinux-aarch64-standard:3.0"
	}
	return curated + "amazonlinux-x86_64-standard:5.0"
}

// amazonLinux are the images on Amazon Linux, without the prefix "amazonlinux-". Until 22
// November 2024 the prefix was "amazonlinux2-", and both remain valid. Whether the Lambda
// images are published is not documented.
var amazonLinux = []string{
	"x86_64-standard", "aarch64-standard", "x86_64-lambda-standard", "aarch64-lambda-standard",
}

// ImageCandidates returns the references under which a configured image may be available,
// best first. A curated image on Amazon Linux has three: the configured name, which can only
// be local, then the new and the old name in the public gallery. Any other image has only its
// own name.
func ImageCandidates(configured string) []string {
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

// Curated returns the full name of a curated image that is given without aws/codebuild/,
// such as standard:7.0. It returns other names unchanged.
func Curated(image string) string {
	name, version := splitImage(image)
	_, known := amazonLinuxFamily(curated + name)
	if version != "" && (known || name == "standard" && mainVersion().MatchString(version[1:])) {
		return curated + image
	}
	return image
}

// splitImage returns the name of an image, and its tag or digest including the ":" or "@".
func splitImage(image string) (name, version string) {
	// A digest comes after the tag, so it is searched first.
	i := strings.IndexByte(image, '@')
	if i < 0 {
		i = strings.LastIndexByte(image, ':')
	}
	// A colon before a slash belongs to the port of a registry.
	if i < 0 || strings.Contains(image[i:], "/") {
		return image, ""
	}
	return image[:i], image[i:]
}

// amazonLinuxFamily returns the family of a curated image on Amazon Linux, such as
// x86_64-standard.
func amazonLinuxFamily(name string) (family string, ok bool) {
	rest, ok := strings.CutPrefix(name, curated)
	family, isNew := strings.CutPrefix(rest, "amazonlinux-")
	if !isNew {
		family, _ = strings.CutPrefix(rest, "amazonlinux2-")
	}
	return family, ok && family != rest && slices.Contains(amazonLinux, family)
}

// perLanguage are the images with one language each that preceded the standard images. Only
// their Dockerfiles still exist, in unsupported_images.
var perLanguage = []string{
	"android-java-6", "android-java-7", "android-java-8", "docker", "dot-net", "golang", "java",
	"nodejs", "php", "python", "ruby", "ubuntu-base",
}

// otherSystems are the images for other operating systems than Linux.
var otherSystems = map[string]string{"windows-base": "Windows", "macos-arm-base": "macOS"}

// Unpublished reports whether configured is a curated image that no registry provides, and
// returns a message with a hint. The image may still exist locally, because users
// build it under that name: callers must look for it first.
func Unpublished(configured string) (message string, unpublished bool) {
	name, version := splitImage(configured)
	family, ok := strings.CutPrefix(name, curated)
	if _, isPublished := amazonLinuxFamily(name); !ok || isPublished {
		return "", false
	}
	switch {
	// The images on Ubuntu are not in the public gallery; AWS publishes their Dockerfiles only.
	case family == "standard":
		return buildUbuntu(configured, strings.TrimLeft(version, ":")), true
	case slices.Contains(perLanguage, family):
		return fmt.Sprintf("%s supports a single language, is not published and is no longer supported by CodeBuild. "+
			"Use %s and runtime-versions, or build the image from unsupported_images/%s in %s.",
			configured, DefaultImage("amd64"), family, repository), true
	case otherSystems[family] != "":
		return fmt.Sprintf("%s is a %s image, which is not published and cannot run here. Use a Linux image such as %s.",
			configured, otherSystems[family], DefaultImage("amd64")), true
	}
	message, hint, unknown := UnknownCurated(configured)
	if unknown {
		message += "; " + hint
	}
	return message, unknown
}

// meantImage returns a suggestion for an unknown curated image.
func meantImage(name, version string) string {
	// Both prefixes are suggested, as users copy either from documentation of different age.
	known := []string{"standard"}
	for _, family := range amazonLinux {
		known = append(known, "amazonlinux-"+family, "amazonlinux2-"+family)
	}
	if meant := diag.Suggest(short(strings.TrimPrefix(name, curated)), known); meant != "" {
		return fmt.Sprintf("did you mean %s?", shown(curated+meant+version))
	}
	return "use a published image such as " + DefaultImage("amd64")
}

// UnknownCurated reports whether an image has the prefix of curated images without being
// one, and returns a message and a hint.
func UnknownCurated(image string) (message, hint string, unknown bool) {
	name, version := splitImage(image)
	family, ok := strings.CutPrefix(name, curated)
	_, published := amazonLinuxFamily(name)
	if !ok || published || family == "standard" || slices.Contains(perLanguage, family) || otherSystems[family] != "" {
		return "", "", false
	}
	return "unknown curated image " + image, meantImage(name, version), true
}

// CuratedName returns the name of a curated image as the tables of images have it: without
// aws/codebuild/ or a registry, with the new prefix and only the main version, such as
// amazonlinux-x86_64-standard:5.0. It reports whether the image is curated.
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

// HasDocker reports whether an environment type supports docker without privileged mode.
// Windows and macOS have no such mode.
func HasDocker(environmentType string) bool {
	return strings.HasPrefix(environmentType, "WINDOWS") || strings.HasPrefix(environmentType, "MAC")
}

// mainVersion matches a tag such as 7.0 or 7.0-23.07.28.
var mainVersion = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d+\.\d+)(?:-[\w.]+)?$`)
})

// buildUbuntu returns a message that says how to get an image on Ubuntu.
func buildUbuntu(configured, tag string) string {
	message := configured + " is not published: AWS provides only its Dockerfile, in " + repository + "."
	if mainVersion().FindStringSubmatch(tag) == nil {
		return message + " Use a name with a version, such as " + curated + "standard:7.0."
	}
	return fmt.Sprintf("%s buildlocal image build standard:%s builds it from a clone.", message, tag)
}

// Repository is the URL of the repository with the Dockerfiles of the curated images.
const Repository = repository

// DockerfileDirs returns the directories that may contain the Dockerfile of a curated image
// in a clone of Repository, the most likely one first, separated by slashes. It returns nil
// for an image without a Dockerfile. Images that are no longer supported have been moved.
func DockerfileDirs(configured string) []string {
	name, curatedName := CuratedName(configured)
	family, version, _ := strings.Cut(name, ":")
	top := map[string]string{
		"standard": "ubuntu/standard/", "amazonlinux-x86_64-standard": "al/x86_64/standard/",
		"amazonlinux-aarch64-standard": "al/aarch64/standard/",
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
	// Directories of Amazon Linux 2 are in al2/, and older versions of images in unsupported_images/.
	old := strings.NewReplacer("al/x86_64/standard/", "al2/x86_64/standard/", "al/aarch64/standard/",
		"al2/aarch64/standard/").Replace(top)
	if old == top {
		return []string{top + version, "unsupported_images/" + top + version}
	}
	return []string{top + version, old + version, "unsupported_images/" + top + version, "unsupported_images/" + old +
		version}
}

// deprecated are the images that CodeBuild neither updates nor caches on its hosts, under
// their new names. The first three have no date in the user guide; the location of their
// Dockerfiles shows that they are unsupported.
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

// DeprecatedImage returns a warning if the user guide lists an image as deprecated, else "".
// CodeBuild still runs such an image.
func DeprecatedImage(configured string) string {
	message, hint := Deprecation(configured)
	if message == "" {
		return ""
	}
	return message + "; " + hint
}

// Deprecation is DeprecatedImage with the message and its hint apart.
func Deprecation(configured string) (message, hint string) {
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
		return fmt.Sprintf("%s is deprecated%s and no longer updated", configured, since), "use " + curated + d.successor
	}
	return "", ""
}
