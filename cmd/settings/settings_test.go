package settings

import (
	"reflect"
	"slices"
	"testing"

	"github.com/buildlocal/buildlocal/internal/config"
	"github.com/buildlocal/buildlocal/project"
)

// TestSettings_EachHasAClass makes sure that a new flag cannot be set by a stranger's file
// before it has a line in config.Settings, with a test for it.
func TestSettings_EachHasAClass(t *testing.T) {
	keys := Keys()
	var classified []string
	for _, s := range config.Settings() {
		classified = append(classified, s.Name)
		if s.Reach < config.Build || s.Reach > config.User {
			t.Errorf("%s has no class", s.Name)
		}
		if (s.Effect == "") != (s.Reach == config.Build) {
			t.Errorf("%s: an effect is for what reaches the user, and each of those has one; got %q", s.Name, s.Effect)
		}
	}
	if !slices.IsSorted(classified) {
		t.Error("config.Settings is not sorted by name")
	}
	for _, name := range keys {
		if !slices.Contains(classified, name) {
			t.Errorf("--%s is not in config.Settings", name)
		}
	}
	for _, name := range classified {
		if !slices.Contains(keys, name) {
			t.Errorf("config.Settings has %s, which is not a flag of run", name)
		}
	}
}

// reaches has the claim that each field of a project document makes if the document came
// with the source; it is "" for a harmless field.
var reaches = map[string]string{
	"Environment.Privileged": "privilegedMode", "Cache.Namespace": "cacheNamespace",
	"Source.Buildspec": "buildspec", "Environment.Image": "image",

	// These describe the build to itself.
	"Name": "", "Description": "", "SourceVersion": "", "SecondaryVersions": "", "ServiceRole": "", "EncryptionKey": "",
	"Timeout": "", "QueuedTimeout": "", "ConcurrentBuildLimit": "", "AutoRetryLimit": "", "LogStreamPrefix": "",
	"Source.Type": "", "Source.Location": "", "Source.Identifier": "", "Source.GitCloneDepth": "",
	"Source.FetchSubmodules": "",
	"Environment.Type":       "", "Environment.ComputeType": "", "Environment.Compute.VCPU": "",
	"Environment.Compute.Memory": "",
	"Environment.Compute.Disk":   "", "Environment.Compute.MachineType": "", "Environment.Compute.InstanceType": "",
	// The buildspec can name the same values.
	"Environment.Variables": "",
	// Nothing is done with these here.
	"Environment.ImagePullCredentials": "", "Environment.RegistryCredential": "", "Environment.Certificate": "",
	"Secondary": "", "FileSystems": "",
	// The artifacts stay in the output directory; of the place only its name is shown.
	"Artifacts.Type": "", "Artifacts.Location": "", "Artifacts.Path": "", "Artifacts.NamespaceType": "",
	"Artifacts.Name":      "",
	"Artifacts.Packaging": "", "Artifacts.Identifier": "", "Artifacts.OverrideName": "",
	"Artifacts.EncryptionDisabled": "", "SecondaryArtifacts": "",
	// A cache without a namespace is the source directory's own.
	"Cache.Type": "", "Cache.Location": "", "Cache.Modes": "",
}

func TestProjectClaims_EachFieldHasAClass(t *testing.T) {
	known := map[string]bool{}
	var walk func(prefix string, of reflect.Type)
	walk = func(prefix string, of reflect.Type) {
		for i := range of.NumField() {
			field := of.Field(i)
			if field.Type.Kind() == reflect.Struct {
				walk(prefix+field.Name+".", field.Type)
				continue
			}
			known[prefix+field.Name] = true
			if _, classified := reaches[prefix+field.Name]; !classified {
				t.Errorf(
					"project.Project.%s%s has no class: does it reach the user when the document came with the source?",
					prefix,
					field.Name,
				)
			}
		}
	}
	walk("", reflect.TypeFor[project.Project]())
	for name := range reaches {
		if !known[name] {
			t.Errorf("project.Project has no field %s", name)
		}
	}
}

func TestPathResolver_EachKind(t *testing.T) {
	b := pathResolver{dir: "/d", home: "/home/you"}
	for _, c := range [][3]string{
		{"env-file", "a", "/d/a"}, {"env-file", "/a", "/a"}, {"env-file", "~/a", "/home/you/a"}, {"secrets", "-", "-"},
		{"cache", "s3://b/p", "s3://b/p"}, {"artifacts", "out", "/d/out"}, {"artifacts", "id=out", "id=/d/out"},
		{"artifacts", "/a/b=c", "/a/b=c"}, {"secondary-source", "a=../x", "a=/x"}, {"image", "oci:x", "oci:/d/x"},
		{"image", "node:22", "node:22"}, {"images", "a=tar:x", "a=tar:/d/x"}, {"region", "x", "x"},
	} {
		if got := b.value(c[0], c[1]); got != c[2] {
			t.Errorf("%s: %s becomes %s; want %s", c[0], c[1], got, c[2])
		}
	}
	if got := (pathResolver{dir: "/d"}).value("env-file", "~/a"); got != "/d/~/a" {
		t.Errorf("without a home ~/a becomes %s", got)
	}
}
