package compute

import "testing"

func TestSize_Machines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environment, compute string
		want                 Machine
	}{
		{"LINUX_CONTAINER", "BUILD_GENERAL1_SMALL", Machine{2, 4 << 30}},
		{"", "BUILD_GENERAL1_LARGE", Machine{8, 16 << 30}},
		{"ARM_CONTAINER", "BUILD_GENERAL1_XLARGE", Machine{32, 64 << 30}},
		{"LINUX_GPU_CONTAINER", "BUILD_GENERAL1_SMALL", Machine{4, 16 << 30}},
		{"LINUX_LAMBDA_CONTAINER", "BUILD_LAMBDA_2GB", Machine{0, 2 << 30}},
		{"LINUX_CONTAINER", "CUSTOM_INSTANCE_TYPE", Machine{}},
		{"LINUX_CONTAINER", "", Machine{}},
	} {
		if got := Size(c.environment, c.compute); got != c.want {
			t.Errorf("%s %s: %+v, want %+v", c.environment, c.compute, got, c.want)
		}
	}
}

func TestSize_EveryOnDemandType(t *testing.T) {
	t.Parallel()
	for environment, types := range offered {
		for _, name := range types {
			if Size(environment, name).Memory == 0 {
				t.Errorf("%s %s has none", environment, name)
			}
		}
	}
}

func TestEnvironmentOf_ImagesAndComputeTypes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ compute, image, environment, platform string }{
		{"", "node:22", "", ""},
		{"", "my/cross-aarch64-gcc:1", "", ""},
		{"BUILD_GENERAL1_SMALL", "aws/codebuild/standard:7.0", "", ""},
		{"BUILD_LAMBDA_1GB", "node:22", "LINUX_LAMBDA_CONTAINER", "linux/amd64"},
		{"", "aws/codebuild/amazonlinux-aarch64-standard:3.0", "ARM_CONTAINER", "linux/arm64"},
		{"", "aws/codebuild/amazonlinux-x86_64-lambda-standard:nodejs20", "LINUX_LAMBDA_CONTAINER", "linux/amd64"},
		{"", "aws/codebuild/amazonlinux-aarch64-lambda-standard:nodejs20", "ARM_LAMBDA_CONTAINER", "linux/arm64"},
	} {
		environment := EnvironmentOf(test.compute, test.image)
		if environment != test.environment || Platform(environment) != test.platform {
			t.Errorf("%+v: %s, %s", test, environment, Platform(environment))
		}
	}
	for environment, want := range map[string]bool{"LINUX_LAMBDA_CONTAINER": true, "ARM_LAMBDA_CONTAINER": true,
		"LINUX_CONTAINER": false, "": false} {
		if IsLambda(environment) != want {
			t.Errorf("%s is Lambda: %t", environment, !want)
		}
	}
	if p := Platform("WINDOWS_CONTAINER"); p != "" {
		t.Errorf("Windows is %s", p)
	}
}
