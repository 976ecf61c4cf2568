package local

import (
	"strconv"
	"strings"
)

// rule is a combination of settings, or a value, that is not possible.
type rule struct {
	setting string // the one to blame
	broken  func(r *Request, uid int) bool
	message func(r *Request) SettingError // without the setting
}

// says returns the message about a combination, which continues the name of the setting, and a
// hint.
func says(message string, hint ...string) func(*Request) SettingError {
	return func(*Request) SettingError {
		return SettingError{Message: strings.Join(append([]string{message}, hint...), "\n"), Joint: true}
	}
}

// hasNoImages is the message about a setting of images for the engine host.
var hasNoImages = says("and --engine host cannot be combined", "the engine host has no images")

// withoutImages reports whether the user has given a setting of images on the command line together
// with the engine host. In a configuration file it is for the builds of other engines.
func withoutImages(r *Request, setting string) bool {
	return !r.Engine.Kind.HasImages() && r.Origins != nil && r.origin(setting) == FromCaller
}

// rules are all such combinations.
var rules = []rule{
	{"no-cache", func(r *Request, _ int) bool { return r.Cache.Off && r.Cache.Place != "" },
		says("and --cache cannot be combined")},
	{"keep-builds", func(r *Request, _ int) bool { return r.Output.KeepBuilds < 1 },
		func(r *Request) SettingError {
			return SettingError{Value: strconv.Itoa(r.Output.KeepBuilds), Message: "use 1 or more"}
		}},
	{"image", func(r *Request, _ int) bool { return !r.Engine.Kind.HasImages() && r.Image.Name != "" },
		func(r *Request) SettingError {
			return SettingError{Value: r.Image.Name, Joint: true,
				Message: "and --engine host cannot be combined\nthe engine host has no images"}
		}},
	{"require-image", func(r *Request, _ int) bool { return !r.Engine.Kind.HasImages() && r.Image.Required },
		hasNoImages},
	{"pull", func(r *Request, _ int) bool { return withoutImages(r, "pull") }, hasNoImages},
	{"images", func(r *Request, _ int) bool { return withoutImages(r, "images") }, hasNoImages},
	{"image-digest", func(r *Request, _ int) bool { return withoutImages(r, "image-digest") }, hasNoImages},
	{"image", func(r *Request, _ int) bool { return r.Engine.Kind == EngineDocker && IsLocalImage(r.Image.Name) },
		func(r *Request) SettingError {
			return SettingError{Value: r.Image.Name, Joint: true,
				Message: "and --engine docker cannot be combined\nomit --engine, or load the image with docker load"}
		}},
	{"docker", func(r *Request, _ int) bool { return r.Engine.Kind.Daemonless() && r.Engine.Docker == "socket" },
		says("socket requires --engine docker")},
	// The default is nested too, and means nothing without privileged mode.
	{"docker", func(r *Request, _ int) bool {
		return r.Engine.Docker == "nested" && !r.Engine.Privileged && r.Origins != nil && r.origin("docker") == FromCaller
	}, says("nested requires --privileged")},
	{"keep", func(r *Request, _ int) bool { return r.Engine.Keep && r.Engine.Docker == "socket" },
		says("and --docker socket cannot be combined",
			"the socket proxy ends with the run; use --docker nested --privileged")},
	{"keep", func(r *Request, _ int) bool { return r.Engine.Keep && r.Engine.Kind.Daemonless() },
		func(r *Request) SettingError {
			kind := string(r.Engine.Kind)
			return says("and --engine "+kind+" cannot be combined", "the engine "+kind+" has no container that could be kept; "+
				"use --debug to stop at failures, or buildlocal debug after a failed build")(r)
		}},
	{"platform", func(r *Request, _ int) bool {
		return r.Engine.Kind.Daemonless() && r.Image.Platform != "" && r.Image.Platform != NativePlatform()
	}, func(r *Request) SettingError {
		return SettingError{Value: r.Image.Platform, Message: "requires --engine docker; the engine " +
			string(r.Engine.Kind) + " runs only " + NativePlatform(), Joint: true}
	}},
	{"privileged", func(r *Request, uid int) bool { return r.Engine.Kind.Daemonless() && r.Engine.Privileged && uid > 0 },
		func(r *Request) SettingError {
			return says("requires root with --engine "+string(r.Engine.Kind), "run as root, or use --engine docker")(r)
		}},
	{"assume-role", func(r *Request, _ int) bool {
		return r.Secrets.AssumeRole != "" && !roleForm().MatchString(r.Secrets.AssumeRole)
	}, func(r *Request) SettingError {
		return SettingError{Value: r.Secrets.AssumeRole,
			Message: "not the ARN of a role; use one such as arn:aws:iam::123456789012:role/NAME"}
	}},
	{"platform", func(r *Request, _ int) bool {
		return r.Image.Platform != "" && !platformForm().MatchString(r.Image.Platform)
	}, func(r *Request) SettingError {
		return SettingError{Value: r.Image.Platform,
			Message: "not a platform; use OS/ARCHITECTURE, such as linux/amd64 or linux/arm64"}
	}},
}
