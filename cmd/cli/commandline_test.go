package cli

import (
	"testing"

	"github.com/spf13/cobra"
)

func TestCommandLine_GivenFlagsOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "run"},
		{[]string{"--zip", "-i", "node:22"}, "run -i node:22 --zip"},
		{[]string{"-e", "A=b c", "-e", "B=it's"}, `run -e 'A=b c' -e 'B=it'\''s'`},
		{[]string{"--image=", "--env=-x"}, "run --env=-x --image=''"},
		{[]string{"--zip=false"}, "run --zip=false"},
	} {
		c := &cobra.Command{Use: "run"}
		c.Flags().StringP("image", "i", "", "")
		c.Flags().StringArrayP("env", "e", nil, "")
		c.Flags().Bool("zip", false, "")
		if err := c.ParseFlags(test.args); err != nil {
			t.Fatal(err)
		}
		if got := CommandLine(c); got != test.want {
			t.Errorf("%q: %s, want %s", test.args, got, test.want)
		}
	}
}
