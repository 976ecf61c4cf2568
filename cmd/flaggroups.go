package cmd

import "github.com/spf13/pflag"

// runAnnotation marks the flags of run. Configuration files set only those: another
// command may have a flag of the same name with another meaning.
const runAnnotation = "buildlocal_run"

// groupAnnotation holds the topic under which the help lists a flag.
const groupAnnotation = "buildlocal_group"

// allRunFlags returns the flags of run, which fill f, in the order of the help.
// Their names are also the keys of configuration files.
func allRunFlags(f *runFlags) *pflag.FlagSet {
	f.formats = []string{"text", "service", "json"}
	all := pflag.NewFlagSet("run", pflag.ContinueOnError)
	all.SortFlags = false
	for _, group := range []struct {
		title string
		add   func(*pflag.FlagSet)
	}{
		{"Source and project", f.addSourceFlags},
		{"Image and engine", f.addImageFlags},
		{"Environment", f.addEnvironmentFlags},
		{"Secrets and AWS", f.addSecretFlags},
		{"Cache", f.addCacheFlags},
		{outputGroup, f.addOutputFlags},
		{checksGroup, f.addCheckFlags},
		{"Debugging", f.addDebugFlags},
	} {
		fs := pflag.NewFlagSet(group.title, pflag.ContinueOnError)
		fs.SortFlags = false
		group.add(fs)
		fs.VisitAll(func(flag *pflag.Flag) {
			flag.Annotations = map[string][]string{runAnnotation: nil, groupAnnotation: {group.title}}
		})
		all.AddFlagSet(fs)
	}
	return all
}

// Topics that other commands use for flags of their own.
const (
	outputGroup = "Output"
	checksGroup = "Checks and configuration"
)

func (f *runFlags) addSourceFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&f.source, "source", "C", ".", "use `DIR` as the primary source")
	fs.StringArrayVar(&f.secondary, "secondary-source", nil, "add a secondary source as `ID=DIR`; repeatable")
	fs.StringVar(&f.sourceMode, "source-mode", "",
		"select source files by `MODE`: worktree (files that git does not ignore; default in a repository),"+
			" commit[=REF] or all")
	fs.StringVarP(&f.buildspec, "buildspec", "b", "",
		"read the buildspec from `SPEC`: a path, inline YAML, or - for standard input (default buildspec.yml in the source)")
	fs.StringVar(&f.project, "project", "",
		"read project settings from `FILE`: a CreateProject document or the output of batch-get-projects")
	fs.StringVar(&f.projectName, "project-name", "",
		"set the project `NAME` (default: from the project file, or the name of the source directory)")
}

func (f *runFlags) addImageFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&f.image, "image", "i", "",
		"build in `IMAGE`: a reference, oci:DIR[:NAME] (OCI layout) or tar:FILE[:NAME] (docker save archive)"+
			" (default: the project's image, or a curated one)")
	fs.StringArrayVar(&f.standIn, "images", nil,
		"substitute images: `NAME=IMAGE` uses IMAGE instead of NAME; * in NAME matches any text; repeatable")
	fs.StringVar(&f.imageDigest, "image-digest", "",
		"require the image to have this `DIGEST` or ID, such as sha256:0123...")
	fs.StringVar(&f.pull, "pull", "missing", "pull the image `WHEN`: always, missing or never")
	fs.StringVar(&f.platform, "platform", "", "use the image for `PLATFORM`, such as linux/arm64")
	fs.StringVar(&f.engine, "engine", "auto", "run the build on `ENGINE`: auto, docker, sandbox or host")
	fs.StringVar(&f.computeType, "compute-type", "",
		"limit CPUs and memory to compute type `NAME`, such as BUILD_GENERAL1_SMALL (default: the project's, or unlimited)")
	fs.BoolVar(&f.privileged, "privileged", false, "enable privileged mode, to run Docker inside the build")
	fs.StringVar(&f.docker, "docker", "nested",
		"Docker `ENGINE` available in the build: nested (separate daemon, requires --privileged)"+
			" or socket (experimental: the host's, restricted to this build's resources)")
	fs.Var(&f.timeout, "timeout",
		"stop the build after `DURATION`, such as 90s or 45m; a plain number is minutes (default: the project's, or 60m)")
}

func (f *runFlags) addEnvironmentFlags(fs *pflag.FlagSet) {
	fs.StringArrayVarP(&f.env, "env", "e", nil,
		"set a variable: `NAME=VALUE`, or NAME to copy it from your environment; repeatable")
	fs.StringArrayVar(&f.envFiles, "env-file", nil, "read NAME=VALUE lines from `FILE`; repeatable")
	fs.StringArrayVar(&f.overrides, "env-override", nil,
		"override a variable as StartBuild does: `VARIABLE` is name=NAME,value=VALUE,type=TYPE or JSON; repeatable")
	fs.StringVar(&f.exportedEnv, "exported-env", "", "write exported variables to `FILE`, in the format of --env-file")
	fs.StringVar(&f.region, "region", "",
		"AWS `REGION` to report to the build (default AWS_REGION, AWS_DEFAULT_REGION, the profile's, or us-east-1)")
	fs.StringVar(&f.caBundle, "ca-bundle", "", "add the CA certificates in `FILE` (PEM) to the build's trust store")
}

func (f *runFlags) addSecretFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.secrets, "secrets", "",
		"read values for parameter-store and secrets-manager from `FILE`"+
			" (default .buildlocal/secrets.yml in the source, if it exists)")
	fs.BoolVar(&f.aws, "aws", false, "look up values that the secrets file does not have in AWS, with your credentials")
	fs.StringVar(&f.profile, "profile", "", "use AWS profile `NAME`; implies --aws and --aws-credentials")
	fs.StringVar(&f.assumeRole, "assume-role", "", "assume role `ARN` for --aws and --aws-credentials")
	fs.BoolVar(&f.awsCredentials, "aws-credentials", false,
		"serve your AWS credentials to the build from the container credentials endpoint")
	fs.BoolVar(&f.gitCredentials, "git-credentials", false,
		"let git in the build use your git credentials, if the buildspec sets git-credential-helper")
	fs.BoolVar(&f.metadata, "metadata", false,
		"allow access to the host's instance metadata service, including its credentials")
	fs.BoolVar(&f.maskEncoded, "mask-encoded", false, "also mask secrets encoded as base64, URL or JSON")
}

func (f *runFlags) addCacheFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.cache, "cache", "",
		"keep the files of cache.paths in `PLACE`: a directory, or s3://BUCKET/PREFIX (default: the user's cache directory)")
	fs.BoolVar(&f.noCache, "no-cache", false, "do not restore or save a cache")
	fs.StringVar(&f.cacheSize, "cache-size", defaultCacheSize,
		"maximum total `SIZE` of local caches; least recently used are evicted first")
}

func (f *runFlags) addOutputFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&f.output, "output", "o", "", "write build output to `DIR` (default .buildlocal in the source)")
	fs.StringArrayVar(&f.artifacts, "artifacts", nil,
		"also copy artifacts to `DIR`, or secondary artifacts with ID=DIR; replaces only earlier copies; repeatable")
	fs.BoolVar(&f.zip, "zip", false, "also pack artifacts into a zip file, as a project with packaging ZIP does")
	fs.BoolVar(&f.fullReports, "full-reports", false, "keep all test cases of a report (CodeBuild keeps 500)")
	fs.IntVar(&f.keepBuilds, "keep-builds", 20, "keep the newest `N` builds in the output directory")
	fs.StringVar(&f.format, "format", "text",
		"print the build as `FORMAT`: text, service (the log CodeBuild would write) or json (one event per line)")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "print only failures and the verdict")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "also print the agent's log lines")
}

func (f *runFlags) addCheckFlags(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.ignore, "ignore", nil, "disable check `NAME`; repeatable")
	fs.BoolVar(&f.strict, "strict", false, "treat warnings and lints of the buildspec as errors")
	fs.BoolVar(&f.noConfig, "no-config", false, "ignore "+configFile+" in the source")
}

func (f *runFlags) addDebugFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the build plan without starting anything")
	fs.BoolVar(&f.keep, "keep", false, "keep the container after the build")
}

// setGroup lists flags that are not flags of run under a topic of the help.
func setGroup(fs *pflag.FlagSet, title string, names ...string) {
	for _, name := range names {
		fs.Lookup(name).Annotations = map[string][]string{groupAnnotation: {title}}
	}
}
