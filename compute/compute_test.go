package compute

import "testing"

func TestTheSizeOfAMachine(t *testing.T) {
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

func TestEveryTypeOnDemandHasASize(t *testing.T) {
	t.Parallel()
	for environment, types := range offered {
		for _, name := range types {
			if Size(environment, name).Memory == 0 {
				t.Errorf("%s %s has none", environment, name)
			}
		}
	}
}
