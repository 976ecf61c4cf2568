package enginetest

import (
	"testing"

	"github.com/buildlocal/buildlocal/engine"
)

// userAndGroup checks the forms of a process's user: user[:group], each a name or a number. Names
// are those of the container. With a group, the user is in no other group.
func (s Suite) userAndGroup(t *testing.T) {
	c := s.start(t, s.spec(t))
	if s.Single {
		s.other(t, c)
		return
	}
	sh(t, c, "echo builder:x:1234:1235::/:/bin/sh >>/etc/passwd; "+
		"printf 'build:x:1235:\\nextra:x:1236:other,builder\\n' >>/etc/group")
	for user, want := range map[string]string{
		"builder":       "1234 1235 1235 1236\n",
		"1234":          "1234 1235 1235 1236\n",
		"builder:extra": "1234 1236 1236\n",
		"builder:1500":  "1234 1500 1500\n",
		"1234:extra":    "1234 1236 1236\n",
		"2000":          "2000 0 0\n",
		"2000:build":    "2000 1235 1235\n",
		"2000:2001":     "2000 2001 2001\n",
		"0:extra":       "0 1236 1236\n",
		"root:1500":     "0 1500 1500\n",
	} {
		_, out, _ := sh(t, c, "echo $(id -u) $(id -g) $(id -G)", func(p *engine.Process) { p.User = user })
		if out != want {
			t.Errorf("%s: got %q, want %q", user, out, want)
		}
	}
	for _, user := range []string{"nosuchuser", "builder:nosuchgroup"} {
		// Some engines start a process for the look-up, and report its exit code.
		exit, err := c.Exec(t.Context(), engine.Process{Args: []string{"true"}, User: user})
		if err == nil && exit == 0 {
			t.Errorf("%s, which the container does not have: got no failure", user)
		}
	}
}
