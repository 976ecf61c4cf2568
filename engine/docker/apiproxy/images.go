package apiproxy

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// names are the names with tags that the build has given to images. Names are recorded when they
// are requested, not when they succeed: a build that is cut off may have set them already.
type names struct {
	mu  sync.Mutex
	all map[string]bool
}

// given adds a name.
func (n *names) given(name string) {
	if name == "" || strings.Contains(name, "@") {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = map[string]bool{}
	}
	n.all[tagged(name)] = true
}

// has reports whether the build has given a name.
func (n *names) has(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[tagged(name)]
}

// ids are the IDs of images that the build has created.
type ids struct {
	mu  sync.Mutex
	all map[string]bool
}

// add adds an ID.
func (i *ids) add(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.all == nil {
		i.all = map[string]bool{}
	}
	i.all[id] = true
}

// Made returns, sorted, the IDs of images that the build created. Some may have existed
// already, if a build created an identical image.
func (g *Proxy) Made() []string {
	g.made.mu.Lock()
	defer g.made.mu.Unlock()
	return slices.Sorted(maps.Keys(g.made.all))
}

// tagged returns a name with its tag, as the engine lists it.
func tagged(name string) string {
	// The engine lists names of Docker Hub without host and without library/.
	for _, hub := range []string{"index.docker.io/", "docker.io/", "library/"} {
		name = strings.TrimPrefix(name, hub)
	}
	if !strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		return name + ":latest"
	}
	return name
}

// Named returns, sorted, the names that the build gave or tried to give to images.
func (g *Proxy) Named() []string {
	g.names.mu.Lock()
	defer g.names.mu.Unlock()
	return slices.Sorted(maps.Keys(g.names.all))
}

// commit creates an image from a container.
func (g *Proxy) commit(c *call) error {
	// Some clients repeat the parameters in the body.
	parameters := fields{}.without("container", "repo", "tag", "comment", "author", "pause", "changes")
	maps.Copy(parameters, configFields())
	if err := g.admit(c.body, "an image", parameters); err != nil {
		return err
	}
	id, err := g.mustOwn(c.Context(), "container", c.query.Get("container"))
	if err != nil {
		return err
	}
	c.query.Set("container", id)
	if err := g.name(c.query); err != nil {
		return err
	}
	return g.change(c.query)
}

// name records a name that is given in two parameters, and splits it properly between them.
func (g *Proxy) name(query url.Values) error {
	repo, tag := query.Get("repo"), query.Get("tag")
	if repo == "" {
		query.Del("tag")
		return nil
	}
	// The engine accepts a tag in repo as well, in which case the name that was recorded would be
	// another one.
	if at := strings.LastIndexByte(repo, ':'); at > strings.LastIndexByte(repo, '/') {
		if tag == "" {
			tag = repo[at+1:]
		}
		repo = repo[:at]
	}
	if tag == "" {
		tag = "latest"
	}
	if strings.ContainsAny(repo+tag, "@ ") || strings.Contains(tag, ":") || strings.Contains(tag, "/") {
		return badRequest("invalid image name %s:%s", repo, tag)
	}
	query.Set("repo", repo)
	query.Set("tag", tag)
	g.names.given(repo + ":" + tag)
	return nil
}

// change labels an image that is created without a Dockerfile, and checks the changes that
// the build requests. The labels come first, because a change may end in a continued line.
func (g *Proxy) change(query url.Values) error {
	changes := query["changes"]
	if err := g.checkDockerfile([]byte(strings.Join(changes, "\n"))); err != nil {
		return err
	}
	query.Del("changes")
	for _, name := range slices.Sorted(maps.Keys(g.Labels)) {
		if !g.KeepImages {
			query.Add("changes", fmt.Sprintf("LABEL %q=%q", name, g.Labels[name]))
		}
	}
	for _, change := range changes {
		query.Add("changes", change)
	}
	return nil
}

// createImage pulls an image, which gets no labels, or imports and labels one.
func (g *Proxy) createImage(c *call) error {
	switch from := c.query.Get("fromSrc"); {
	// A pull does not change the image. Whether it existed before is known from Tags, so it needs no
	// label.
	case c.query.Get("fromImage") != "":
		c.query.Del("fromSrc")
		c.query.Del("repo")
		c.query.Del("changes")
		c.stream = nil
		return nil
	// A dash means that the body is the archive.
	case from != "-":
		return refuse("the engine would fetch %s from the host's network; "+
			"fetch it in the build instead: curl -fsSL URL | docker import - NAME", from)
	}
	if err := g.name(c.query); err != nil {
		return err
	}
	return g.change(c.query)
}

// tag records the new name. The image itself may be any, since images are visible to the build.
func (g *Proxy) tag(c *call) error {
	if c.query.Get("repo") == "" {
		return badRequest("the parameter repo is missing")
	}
	return g.name(c.query)
}

// A name may consist of hexadecimal digits only, so a match can still be a name.
var digest = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(sha256:)?[0-9a-f]{1,64}$`) })

// removeImage lets the build remove images and names that it has created. A name that
// existed before the build stays.
func (g *Proxy) removeImage(c *call) error {
	var is struct {
		ID       string `json:"Id"`
		RepoTags []string
		Config   struct{ Labels map[string]string }
	}
	found, err := g.get(c.Context(), "/images/"+url.PathEscape(c.name)+"/json", &is)
	if err != nil {
		return err
	}
	if !found {
		return &refusal{http.StatusNotFound, "No such image: " + withTag(c.name)}
	}
	asked := c.name
	if byName := !digest().MatchString(asked) || slices.ContainsFunc(is.RepoTags, sameName(asked)); !byName {
		c.name = is.ID
	} else if !strings.Contains(asked, "@") {
		// a name with a tag is never taken for the prefix of an ID, even if the image has been removed in the meantime
		c.name = withTag(asked)
	}
	if g.has(described{ID: is.ID, Config: is.Config}) {
		return nil
	}
	// An image without labels, as a pulled one, may be removed if each of its names came from the
	// build.
	ours := len(is.RepoTags) > 0
	for _, t := range is.RepoTags {
		ours = ours && g.names.has(t) && g.Tags[t] != is.ID
	}
	if taken := g.names.has(asked) && g.Tags[tagged(asked)] != is.ID; taken || ours {
		return nil
	}
	return refuse("the image %s belongs to the host; "+
		"with --docker socket a build can remove only images that it created", asked)
}

// sameName returns a function that reports whether a listed name is the requested one.
func sameName(asked string) func(string) bool {
	return func(listed string) bool {
		return tagged(listed) == tagged(asked) || tagged(listed) == "localhost/"+tagged(asked)
	}
}

// withTag adds the default tag to a name without one.
func withTag(name string) string {
	if strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		return name
	}
	return name + ":latest"
}

// load makes the engine report the names of loaded images.
func (*Proxy) load(c *call) error {
	c.query.Set("quiet", "1")
	return nil
}
