package project

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultImage_PublishedAndCurrent(t *testing.T) {
	t.Parallel()
	for arch, want := range map[string]string{
		"amd64": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
		"arm64": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
	} {
		got := DefaultImage(arch)
		if _, unpublished := Unpublished(got); got != want || unpublished || DeprecatedImage(got) != "" {
			t.Errorf("DefaultImage(%q) = %q, want %q", arch, got, want)
		}
	}
}

func TestImageCandidates_NewNameFirst(t *testing.T) {
	t.Parallel()
	const public = "public.ecr.aws/codebuild/"
	tests := map[string][]string{
		"aws/codebuild/amazonlinux2-x86_64-standard:5.0": {
			"aws/codebuild/amazonlinux2-x86_64-standard:5.0",
			public + "amazonlinux-x86_64-standard:5.0",
			public + "amazonlinux2-x86_64-standard:5.0",
		},
		"aws/codebuild/amazonlinux-aarch64-standard:3.0": {
			"aws/codebuild/amazonlinux-aarch64-standard:3.0",
			public + "amazonlinux-aarch64-standard:3.0",
			public + "amazonlinux2-aarch64-standard:3.0",
		},
		"aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.12": {
			"aws/codebuild/amazonlinux-x86_64-lambda-standard:python3.12",
			public + "amazonlinux-x86_64-lambda-standard:python3.12",
			public + "amazonlinux2-x86_64-lambda-standard:python3.12",
		},
		"aws/codebuild/amazonlinux-x86_64-standard@sha256:ab": {
			"aws/codebuild/amazonlinux-x86_64-standard@sha256:ab",
			public + "amazonlinux-x86_64-standard@sha256:ab",
			public + "amazonlinux2-x86_64-standard@sha256:ab",
		},
		"aws/codebuild/amazonlinux-x86_64-standard": {
			"aws/codebuild/amazonlinux-x86_64-standard",
			public + "amazonlinux-x86_64-standard",
			public + "amazonlinux2-x86_64-standard",
		},
		"aws/codebuild/standard:7.0":      {"aws/codebuild/standard:7.0"},
		"aws/codebuild/amazonlinux-x:1":   {"aws/codebuild/amazonlinux-x:1"},
		"alpine":                          {"alpine"},
		"localhost:5000/amazonlinux-a":    {"localhost:5000/amazonlinux-a"},
		"public.ecr.aws/codebuild/x:y":    {"public.ecr.aws/codebuild/x:y"},
		"example.com/aws/codebuild/a:1.0": {"example.com/aws/codebuild/a:1.0"},
	}
	for configured, want := range tests {
		if diff := cmp.Diff(want, ImageCandidates(configured)); diff != "" {
			t.Errorf("ImageCandidates(%q) (-want +got):\n%s", configured, diff)
		}
	}
}

func TestUnpublished_Messages(t *testing.T) {
	t.Parallel()
	const not = " is not published: AWS provides only its Dockerfile, in " +
		"https://github.com/aws/aws-codebuild-docker-images. "
	tests := map[string]string{
		"aws/codebuild/standard:7.0": "aws/codebuild/standard:7.0" + not +
			"buildlocal image build standard:7.0 builds it from a clone.",
		"aws/codebuild/standard:4.0-22.01.31": "aws/codebuild/standard:4.0-22.01.31" + not +
			"buildlocal image build standard:4.0-22.01.31 builds it from a clone.",
		"aws/codebuild/standard:latest": "aws/codebuild/standard:latest" + not +
			"Use a name with a version, such as aws/codebuild/standard:7.0.",
		"aws/codebuild/standard": "aws/codebuild/standard" + not +
			"Use a name with a version, such as aws/codebuild/standard:7.0.",
		"aws/codebuild/nodejs:10.14.1": "aws/codebuild/nodejs:10.14.1 supports a single language, " +
			"is not published and is no longer supported by CodeBuild. Use aws/codebuild/amazonlinux-x86_64-standard:5.0 and " +
			"runtime-versions, or build the image from unsupported_images/nodejs in " +
			"https://github.com/aws/aws-codebuild-docker-images.",
		"aws/codebuild/windows-base:2022-1.0": "aws/codebuild/windows-base:2022-1.0 is a Windows image, which " +
			"is not published and cannot run here. Use a Linux image such as " +
			"aws/codebuild/amazonlinux-x86_64-standard:5.0.",
		"aws/codebuild/macos-arm-base:14": "aws/codebuild/macos-arm-base:14 is a macOS image, which is not " +
			"published and cannot run here. Use a Linux image such as aws/codebuild/amazonlinux-x86_64-standard:5.0.",
		"aws/codebuild/amazonlinux2-x86-standard:5.0": `unknown curated image aws/codebuild/amazonlinux2-x86-standard:5.0; ` +
			`did you mean "aws/codebuild/amazonlinux2-x86_64-standard:5.0"?`,
		"aws/codebuild/swift:5": "unknown curated image aws/codebuild/swift:5; " +
			"use a published image such as aws/codebuild/amazonlinux-x86_64-standard:5.0",
	}
	for configured, want := range tests {
		got, unpublished := Unpublished(configured)
		if diff := cmp.Diff(want, got); diff != "" || !unpublished {
			t.Errorf("Unpublished(%q) (-want +got):\n%s", configured, diff)
		}
	}
}

func TestDockerfileDirs_CurrentAndMoved(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		"aws/codebuild/standard:7.0":          {"ubuntu/standard/7.0", "unsupported_images/ubuntu/standard/7.0"},
		"aws/codebuild/standard:7.0-24.01.01": {"ubuntu/standard/7.0", "unsupported_images/ubuntu/standard/7.0"},
		"aws/codebuild/amazonlinux2-x86_64-standard:3.0": {"al/x86_64/standard/3.0", "al2/x86_64/standard/3.0",
			"unsupported_images/al/x86_64/standard/3.0", "unsupported_images/al2/x86_64/standard/3.0"},
		"aws/codebuild/nodejs:10.14.1": {"unsupported_images/ubuntu/nodejs/10.14.1",
			"unsupported_images/nodejs/10.14.1"},
		"aws/codebuild/standard":              nil,
		"aws/codebuild/windows-base:2022-1.0": nil,
		"node:22":                             nil,
	}
	for image, want := range tests {
		if diff := cmp.Diff(want, DockerfileDirs(image)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", image, diff)
		}
	}
}

func TestCurated_ShortNames(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]string{
		"standard:7.0":                     "aws/codebuild/standard:7.0",
		"amazonlinux2-x86_64-standard:5.0": "aws/codebuild/amazonlinux2-x86_64-standard:5.0",
		"standard":                         "standard", "standard:mine": "standard:mine", "node:22": "node:22",
		"aws/codebuild/standard:7.0": "aws/codebuild/standard:7.0", "": "", "x/standard:7.0": "x/standard:7.0",
	} {
		if got := Curated(image); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

func TestUnpublished_PublishedImages(t *testing.T) {
	t.Parallel()
	for _, configured := range []string{
		"alpine", "aws/codebuild/amazonlinux2-x86_64-standard:5.0", "public.ecr.aws/codebuild/standard:7.0",
		"aws/codebuild/amazonlinux-aarch64-lambda-standard:nodejs22", "",
	} {
		if way, unpublished := Unpublished(configured); way != "" || unpublished {
			t.Errorf("Unpublished(%q) = %q, %t", configured, way, unpublished)
		}
	}
}

func TestDeprecatedImage_DateAndSuccessor(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"aws/codebuild/standard:4.0": "aws/codebuild/standard:4.0 is deprecated since 31 March 2023 " +
			"and no longer updated; use aws/codebuild/standard:7.0",
		"aws/codebuild/amazonlinux2-x86_64-standard:3.0": "aws/codebuild/amazonlinux2-x86_64-standard:3.0 is deprecated " +
			"since 9 May 2023 and no longer updated; use aws/codebuild/amazonlinux-x86_64-standard:5.0",
		"aws/codebuild/amazonlinux-aarch64-standard:1.0": "aws/codebuild/amazonlinux-aarch64-standard:1.0 is deprecated " +
			"since 31 March 2023 and no longer updated; use aws/codebuild/amazonlinux-aarch64-standard:3.0",
		"aws/codebuild/standard:3.0-20.12.01": "aws/codebuild/standard:3.0-20.12.01 is deprecated since 30 " +
			"June 2022 and no longer updated; use aws/codebuild/standard:7.0",
		"aws/codebuild/standard:1.0": "aws/codebuild/standard:1.0 is deprecated and no longer " +
			"updated; use aws/codebuild/standard:7.0",
		"aws/codebuild/standard:7.0":                      "",
		"aws/codebuild/amazonlinux2-x86_64-standard:5.0":  "",
		"aws/codebuild/amazonlinux2-aarch64-standard:3.0": "",
		"standard:4.0": "",
		"alpine":       "",
	}
	for configured, want := range tests {
		if got := DeprecatedImage(configured); got != want {
			t.Errorf("DeprecatedImage(%q) = %q, want %q", configured, got, want)
		}
	}
}
