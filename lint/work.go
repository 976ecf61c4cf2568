package lint

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// words returns the set of words in a text.
func words(text string) map[string]bool {
	all := map[string]bool{}
	for _, w := range strings.Fields(text) {
		all[w] = true
	}
	return all
}

// works are the programs that do the work of a build, each with the subcommands that do
// it. An empty set means that every call counts. The list decides whether the failure of a command
// matters. It has tools for building and testing that are common in public buildspecs; missing ones
// only mean fewer reports.
var works = map[string]map[string]bool{
	"make": {}, "mvn": {}, "mvnw": {}, "gradle": {}, "gradlew": {}, "ant": {}, "sbt": {}, "tox": {}, "pytest": {},
	"jest": {}, "mocha": {},
	"rspec": {}, "phpunit": {}, "ctest": {}, "tsc": {}, "eslint": {}, "webpack": {}, "vite": {},
	"npm": words("ci install i test t run run-script publish"), "npx": {}, "pnpm": words("install i test run build"),
	"yarn": words("install test build lint run"), "bundle": words("install exec"), "composer": words("install"),
	"pip": words("install"), "pip3": words("install"), "cargo": words("build test bench clippy"),
	"go":     words("build test vet generate"),
	"dotnet": words("build test publish restore"), "bazel": words("build test"),
	"docker":    words("build buildx push compose"),
	"terraform": words("init plan apply validate"), "cdk": words("synth deploy"), "sam": words("build deploy"),
	"kubectl": words("apply"), "helm": words("upgrade install"), "cmake": {}, "python": words("-m setup.py manage.py"),
	"python3": words("-m setup.py manage.py"),
}

// isWork reports whether a command does work of the build, so that its failure should fail
// the build.
func isWork(command []string) bool {
	if len(command) == 0 {
		return false
	}
	// A script of the project almost always does work of the build.
	if strings.HasPrefix(command[0], "./") {
		return true
	}
	verbs, known := works[command[0][strings.LastIndex(command[0], "/")+1:]]
	// Printing a version is diagnostic output, whose failure does not matter.
	asks := func(w string) bool { return w == "--version" || w == "-v" || w == "-version" || w == "--help" }
	if !known || slices.ContainsFunc(command, asks) {
		return false
	}
	return len(verbs) == 0 || slices.ContainsFunc(command[1:], func(w string) bool { return verbs[w] })
}

// deployment is a command that changes something outside the build: a program with all of
// the words, in this order.
type deployment struct {
	program string
	words   []string
}

// Only commands that publish or roll out are here. Uploads of reports and caches after a failure
// are useful.
var deployments = []deployment{
	{"aws", []string{"cloudformation", "deploy"}}, {"aws", []string{"cloudformation", "create-stack"}},
	{"aws", []string{"cloudformation", "update-stack"}},
	{"aws", []string{"cloudformation", "execute-change-set"}}, {"aws", []string{"ecs", "update-service"}},
	{"aws", []string{"lambda", "update-function-code"}},
	{"aws", []string{"deploy", "create-deployment"}}, {"aws", []string{"elasticbeanstalk", "update-environment"}},
	{"aws", []string{"s3", "sync"}}, {"aws", []string{"s3", "cp"}},
	{"sam", []string{"deploy"}}, {"cdk", []string{"deploy"}}, {"sls", []string{"deploy"}},
	{"serverless", []string{"deploy"}}, {"eb", []string{"deploy"}}, {"copilot", []string{"deploy"}},
	{"kubectl", []string{"apply"}}, {"kubectl", []string{"set", "image"}}, {"helm", []string{"upgrade"}},
	{"terraform", []string{"apply"}}, {"pulumi", []string{"up"}},
	{"npm", []string{"publish"}}, {"yarn", []string{"publish"}}, {"twine", []string{"upload"}},
	{"mvn", []string{"deploy"}},
}

// diagnostics matches uploads that are useful in particular after a failed build.
var diagnostics = lazy(`(?i)report|coverage|result|log|cache|allure|junit|test`)

// isDeployment reports whether a command deploys the output of the build.
func isDeployment(call *syntax.CallExpr, command []string, text string) bool {
	if len(command) == 0 || slices.Contains(command, "--dry-run") {
		return false
	}
	program := command[0][strings.LastIndex(command[0], "/")+1:]
	return slices.ContainsFunc(deployments, func(d deployment) bool {
		if d.program != program || !inOrder(d.words, command[1:]) {
			return false
		}
		// aws s3 cp also copies from a bucket, and is used for reports.
		return d.words[0] != "s3" || intoBucket(call, text) && !diagnostics().MatchString(text)
	})
}

// inOrder reports whether command contains all wanted words in their order. Options and their
// values may be between the words.
func inOrder(wanted, command []string) bool {
	for _, w := range command {
		if len(wanted) > 0 && w == wanted[0] {
			wanted = wanted[1:]
		}
	}
	return len(wanted) == 0
}

// intoBucket reports whether aws s3 copies to a bucket: the destination is the second
// argument that is not an option.
func intoBucket(call *syntax.CallExpr, text string) bool {
	parts := strings.Fields(text)
	places := slices.DeleteFunc(parts, func(w string) bool { return strings.HasPrefix(w, "-") })
	at := slices.IndexFunc(places, func(w string) bool { return w == "cp" || w == "sync" })
	return len(call.Args) > 3 && at >= 0 && at+2 < len(places) && strings.HasPrefix(strings.Trim(places[at+2], `"'`),
		"s3://")
}

// deployAfterFailure reports deployments in POST_BUILD that do not depend on the result of
// BUILD. It needs a BUILD that can fail. A deployment after docker push is not reported,
// because there is no new image after a failure.
func (c *checker) deployAfterFailure() {
	build, _ := c.Spec.Phase("BUILD")
	// With ABORT there is no POST_BUILD after a failed BUILD.
	if strings.EqualFold(build.OnFailure.Text, "ABORT") || !c.buildWorks() {
		return
	}
	for _, s := range c.scripts {
		if s.phase != "POST_BUILD" {
			continue
		}
		// A guard applies to the commands after it as well, as it may end the phase.
		if guarded(s.Text) || s.file == nil {
			return
		}
		said := false
		s.calls(func(call *syntax.CallExpr, command []string) {
			text := textOf(call)
			if !said && isDeployment(call, unwrapped(command), text) {
				said = true
				c.say(c.node(s, call), "POST_BUILD also runs after a failed BUILD and would deploy its output").
					Hint = "move this to build" + c.abort() + ", or test CODEBUILD_BUILD_SUCCEEDING first"
			}
		})
		if said {
			return
		}
	}
}

// abort returns a hint that does not apply to version 0.1, which has no on-failure.
func (c *checker) abort() string {
	if c.Spec.Version == "0.1" {
		return ""
	}
	return ", set on-failure: ABORT in build"
}

// guarded reports whether a script of POST_BUILD may stop after a failed BUILD. It accepts any
// condition at all, because to distinguish the right ones would require running the script.
func guarded(text string) bool {
	for _, guard := range []string{"CODEBUILD_BUILD_SUCCEEDING", "exit", "if ", "[ ", "test ", "docker push", "|| "} {
		if strings.Contains(text, guard) {
			return true
		}
	}
	return false
}

// buildWorks reports whether BUILD does any work.
func (c *checker) buildWorks() bool {
	works := false
	for _, s := range c.scripts {
		if s.phase == "BUILD" {
			s.calls(func(_ *syntax.CallExpr, command []string) { works = works || isWork(unwrapped(command)) })
		}
	}
	return works
}

// textOf returns a node as source text.
func textOf(node syntax.Node) string {
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, node); err != nil {
		return ""
	}
	return b.String()
}
