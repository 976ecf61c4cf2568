package runtimes

import (
	"slices"
	"strings"
)

// CuratedDate is the date of the table in this file. It was taken from the runtimes.yml files
// in the repository with the Dockerfiles of the curated images. The images change with each
// release; if an image is available locally, its own file takes precedence.
const CuratedDate = "April 2026"

// curated lists the runtimes and versions of each image, under the image's new name. A * after
// the name of a runtime means that other versions can be requested as well. The table is
// text, because a literal of nested maps would be several times as long, and would be built at
// each start of the program.
var curated = map[string]string{
	"standard:8.0": "java* corretto8 corretto11 corretto17 corretto21 corretto25|golang* 1.24 " +
		"1.25 1.26|python* 3.10 3.11 3.12 3.13 3.14|php* 8.2 8.3 8.4 8.5|ruby* 3.3 3.4 4.0|nodejs* 22 24|dotnet* 8.0 " +
		"10.0|rust* 1.93",
	"standard:7.0": "java* corretto8 corretto11 corretto17 corretto21 corretto25|golang* 1.20 " +
		"1.21 1.22 1.23 1.24 1.25 1.26|python* 3.9 3.10 3.11 3.12 3.13 3.14|php* 8.2 8.3 8.4 8.5|ruby* 3.1 3.2 3.3 3.4 " +
		"4.0|nodejs* 18 20 22 24|dotnet* 6.0 8.0 10.0",
	"standard:6.0": "java* corretto17|golang* 1.18|python* 3.10|php* 8.1|ruby* 3.1|nodejs* " +
		"16|dotnet* 6.0",
	"standard:5.0": "java* corretto8 corretto11|golang* 1.15 1.16|python* 3.7 3.8 3.9|php* " +
		"7.3 7.4 8.0|ruby* 2.6 2.7|nodejs* 12 14|dotnet* 3.1 5.0",
	"standard:4.0": "java corretto8 corretto11|golang 1.12 1.13 1.14|python 3.7 3.8 3.9|php " +
		"7.3 7.4|ruby 2.6 2.7|nodejs 10 12|dotnet 3.1|docker 18 19|android 28 29",
	"standard:3.0": "java openjdk8 openjdk11|golang 1.12 1.13|python 3.8 3.9|php 7.3|ruby " +
		"2.6|nodejs 10 12|dotnet 3.0|docker 18|android 28 29",
	"standard:2.0": "java openjdk8 openjdk11|golang 1.12 1.13|python 3.7|php 7.3|ruby " +
		"2.6|nodejs 8 10|dotnet 2.2|docker 18|android 28 29",
	"amazonlinux-x86_64-standard:6.0": "java* corretto8 corretto11 corretto17 corretto21 corretto25|golang* 1.24 " +
		"1.25 1.26|python* 3.10 3.11 3.12 3.13 3.14|php* 8.2 8.3 8.4 8.5|ruby* 3.3 3.4 4.0|nodejs* 22 24|dotnet* 8.0 " +
		"10.0|rust* 1.93",
	"amazonlinux-x86_64-standard:5.0": "java* corretto8 corretto11 corretto17 corretto21 corretto25|golang* 1.20 " +
		"1.21 1.22 1.23 1.24 1.25 1.26|python* 3.9 3.10 3.11 3.12 3.13 3.14|php* 8.2 8.3 8.4 8.5|ruby* 3.1 3.2 3.3 3.4 " +
		"4.0|nodejs* 18 20 22 24|dotnet* 6.0 8.0 10.0",
	"amazonlinux-x86_64-standard:4.0": "java* corretto17|golang* 1.18|python* 3.9|php* 8.1|ruby* 3.1|nodejs* " +
		"16|dotnet* 6.0|docker 20",
	"amazonlinux-x86_64-standard:corretto8": "java corretto8", "amazonlinux-x86_64-standard:corretto11": "java corretto11",
	"amazonlinux-x86_64-standard:3.0": "java corretto8 corretto11|golang 1.12 1.13 1.14|python 3.7 3.8 3.9|php 7.3 " +
		"7.4|ruby 2.6 2.7|nodejs 10 12|dotnet 3.1|docker 18 19|android 28 29",
	"amazonlinux-x86_64-standard:2.0": "java corretto8 corretto11|golang 1.12 1.13|python 3.8 3.9|php 7.3|ruby " +
		"2.6|nodejs 10 12|dotnet 3.0|docker 18|android 28 29",
	"amazonlinux-x86_64-standard:1.0": "java corretto8 corretto11|golang 1.12 1.13|python 3.7|php 7.3|ruby 2.6|nodejs " +
		"8 10|dotnet 2.2|docker 18|android 28 29",
	"amazonlinux-aarch64-standard:4.0": "java* corretto8 corretto11 corretto17 corretto21 corretto25|golang* 1.24 1.25 " +
		"1.26|python* 3.10 3.11 3.12 3.13 3.14|php* 8.2 8.3 8.4 8.5|ruby* 3.3 3.4 4.0|nodejs* 22 24|dotnet* 8.0 " +
		"10.0|docker 23|rust* 1.94",
	"amazonlinux-aarch64-standard:3.0": "java* corretto8 corretto11 corretto17 corretto21 corretto25|golang* 1.20 1.21 " +
		"1.22 1.23 1.24 1.25 1.26|python* 3.9 3.10 3.11 3.12 3.13 3.14|php* 8.1 8.2 8.3 8.4 8.5|ruby* 3.1 3.2 3.3 3.4 " +
		"4.0|nodejs* 18 20 22 24|dotnet* 6.0 8.0 10.0|docker 23|rust* 1.94",
	"amazonlinux-aarch64-standard:2.0": "java* corretto8 corretto11|golang* 1.12 1.13 1.14|python* 3.7 3.8 3.9|php* " +
		"7.3 7.4|ruby* 2.6 2.7|nodejs* 10 12|dotnet* 3.1|docker 19",
	"amazonlinux-aarch64-standard:1.0": "java corretto8 corretto11|golang 1.12 1.13|python 3.7 3.8|php 7.3|ruby " +
		"2.6|nodejs 8 10 12|docker 18 19",
}

// Curated returns the runtimes of a curated image as of CuratedDate, for a name such as
// amazonlinux-x86_64-standard:5.0, or nil if it is unknown. The table has no commands.
func Curated(image string) Table {
	text, known := curated[image]
	if !known {
		return nil
	}
	table := Table{}
	for _, entry := range strings.Split(text, "|") {
		words := strings.Fields(entry)
		name, others := strings.CutSuffix(words[0], "*")
		versions := map[string]Version{}
		for _, version := range words[1:] {
			versions[version] = Version{}
		}
		if others {
			versions[custom] = Version{}
		}
		table[name] = Runtime{Versions: versions}
	}
	return table
}

// AllCurated returns the union of the runtimes of all curated images as of CuratedDate.
func AllCurated() Table {
	all := Table{}
	for image := range curated {
		for name, r := range Curated(image) {
			if _, known := all[name]; !known {
				all[name] = Runtime{Versions: map[string]Version{}}
			}
			for version := range r.Versions {
				all[name].Versions[version] = Version{}
			}
		}
	}
	return all
}

// CuratedVersions returns the versions of a family of curated images, such as standard, as of
// CuratedDate.
func CuratedVersions(family string) []string {
	var versions []string
	for image := range curated {
		if name, version, _ := strings.Cut(image, ":"); name == family {
			versions = append(versions, version)
		}
	}
	slices.SortFunc(versions, compareVersions)
	return versions
}
