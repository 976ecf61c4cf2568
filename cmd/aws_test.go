package cmd_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/buildlocal/buildlocal/aws/awstest"
)

// TestScripts_AWS runs the whole program against an AWS server of the test. Scripts reach it
// at $AWS_ENDPOINT_URL, and their containers at $INSIDE.
//
// The command deny makes the server reject an operation, and silence makes it not answer.
// The command asked prints the requests: operation and access key, one a line, sorted.
func TestScripts_AWS(t *testing.T) {
	inside := bridgeAddress(t)
	runScripts(t, "../testdata/script/aws", func(p *testscript.Params) {
		first := p.Setup
		p.Setup = func(env *testscript.Env) error {
			s, stop, err := awstest.Start()
			if err != nil {
				return err
			}
			env.Defer(stop)
			env.Values[server{}] = s
			return errors.Join(first(env), account(env, s, inside))
		}
		p.Cmds = map[string]func(*testscript.TestScript, bool, []string){
			"deny": func(ts *testscript.TestScript, _ bool, args []string) {
				serverOf(ts).Change(func(s *awstest.Server) { s.Denied[args[0]] = true })
			},
			"silence": func(ts *testscript.TestScript, _ bool, args []string) {
				serverOf(ts).Change(func(s *awstest.Server) { s.Silent[args[0]] = true })
			},
			// build BUILD-ID FILE LOG puts a build of CodeBuild into the account, with its log.
			"build": func(ts *testscript.TestScript, _ bool, args []string) {
				record, log := ts.ReadFile(args[1]), ts.ReadFile(args[2])
				serverOf(ts).Change(func(s *awstest.Server) {
					s.Builds = map[string]string{args[0]: record}
					s.Logs = map[string][]string{"/aws/codebuild/shop:s1": strings.SplitAfter(log, "\n")}
				})
			},
			"asked": func(ts *testscript.TestScript, _ bool, _ []string) {
				var lines []string
				for _, r := range serverOf(ts).Requests() {
					lines = append(lines, r.Operation+" "+r.AccessKey+"\n")
				}
				slices.Sort(lines)
				fmt.Fprint(ts.Stdout(), strings.Join(lines, ""))
			},
		}
	})
}

// server is the key of a script's server.
type server struct{}

// serverOf returns the server of a script.
func serverOf(ts *testscript.TestScript) *awstest.Server { return ts.Value(server{}).(*awstest.Server) }

// account sets up the user's profile and the values in AWS for a script.
func account(env *testscript.Env, s *awstest.Server, inside string) error {
	s.Denied, s.Silent = map[string]bool{}, map[string]bool{}
	s.Parameters = map[string]string{"/app/url": "https://db.example.com", "/app/list": "one-item,two-item"}
	s.Secrets = map[string]map[string]string{
		"team/db": {"AWSCURRENT": `{"user":"admin","password":"corr\"ect horse"}`, "AWSPREVIOUS": "line one\nline two"},
	}
	home := filepath.Join(env.Getenv("WORK"), "home")
	for name, value := range map[string]string{
		"HOME": home, "AWS_ENDPOINT_URL": s.URL, "AWS_ENDPOINT_URL_STS": s.URL, "INSIDE": s.At(inside),
		"AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE":           home + "/config", "AWS_SHARED_CREDENTIALS_FILE": home + "/credentials",
	} {
		env.Setenv(name, value)
	}
	const config = "[profile dev]\nregion = eu-central-1\naws_access_key_id = " +
		"AKIADEV0000000000001\naws_secret_access_key = dev/secret/key\n"
	return errors.Join(os.MkdirAll(home, 0o755), os.WriteFile(home+"/config", []byte(config), 0o600))
}

// bridgeAddress returns the address at which containers reach the host.
func bridgeAddress(t *testing.T) string {
	t.Helper()
	bridge, err := net.InterfaceByName("docker0")
	if err != nil {
		return "127.0.0.1" // without Docker there are no containers
	}
	all, err := bridge.Addrs()
	if err != nil || len(all) == 0 {
		t.Fatalf("docker0 has no address: %v", err)
	}
	return all[0].(*net.IPNet).IP.String()
}
