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

// names are those that the build gave to images, with their tags.
type names struct {
	mu  sync.Mutex
	all map[string]bool
}

// given notes a name.
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

func (n *names) has(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[tagged(name)]
}

// ids are those of images that the build made.
type ids struct {
	mu  sync.Mutex
	all map[string]bool
}

// add notes an ID.
func (i *ids) add(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.all == nil {
		i.all = map[string]bool{}
	}
	i.all[id] = true
}

// Made returns the IDs of images that the build made, or that were there already when it
// made them, sorted.
func (g *Proxy) Made() []string {
	g.made.mu.Lock()
	defer g.made.mu.Unlock()
	return slices.Sorted(maps.Keys(g.made.all))
}

// tagged is a name with its tag, as the engine lists it.
func tagged(name string) string {
	for _, hub := range []string{"index.docker.io/", "docker.io/", "library/"} {
		name = strings.TrimPrefix(name, hub)
	}
	if !strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		return name + ":latest"
	}
	return name
}

// Named returns the names that the build gave to images, or tried to, sorted.
func (g *Proxy) Named() []string {
	g.names.mu.Lock()
	defer g.names.mu.Unlock()
	return slices.Sorted(maps.Keys(g.names.all))
}

// commit makes an image of a container.
func (g *Proxy) commit(c *call) error {
	// Some clients send the parameters in the body too.
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

// name notes a name that stands in two parameters, and gives each its own part.
func (g *Proxy) name(query url.Values) error {
	repo, tag := query.Get("repo"), query.Get("tag")
	if repo == "" {
		query.Del("tag")
		return nil
	}
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

// change labels an image that is not built from a Dockerfile, and checks the changes that
// the build makes to it. The labels come first: a change may end in a line that goes on.
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

// createImage pulls an image, which stays as it is, or imports and labels one.
func (g *Proxy) createImage(c *call) error {
	switch from := c.query.Get("fromSrc"); {
	case c.query.Get("fromImage") != "":
		c.query.Del("fromSrc")
		c.query.Del("repo")
		c.query.Del("changes")
		c.stream = nil
		return nil
	case from != "-":
		return refuse("the engine would fetch %s from this machine's network; with --docker socket "+
			"fetch it in the build: curl -fsSL URL | docker import - NAME", from)
	}
	if err := g.name(c.query); err != nil {
		return err
	}
	return g.change(c.query)
}

func (g *Proxy) tag(c *call) error {
	if c.query.Get("repo") == "" {
		return badRequest("the parameter repo is missing")
	}
	return g.name(c.query)
}

var digest = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(sha256:)?[0-9a-f]{1,64}$`) })

// removeImage lets the build remove what it made or named. An image that this machine had
// under a name is this machine's.
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
		c.name = withTag(asked) // which is no part of an ID, whatever it is by then
	}
	if g.has(described{ID: is.ID, Config: is.Config}) {
		return nil
	}
	ours := len(is.RepoTags) > 0
	for _, t := range is.RepoTags {
		ours = ours && g.names.has(t) && g.Tags[t] != is.ID
	}
	if taken := g.names.has(asked) && g.Tags[tagged(asked)] != is.ID; taken || ours {
		return nil
	}
	return refuse("the image %s is this machine's; with --docker socket a build removes only what it made", asked)
}

// sameName returns whether a name in the engine's list is the one that is asked for.
func sameName(asked string) func(string) bool {
	return func(listed string) bool {
		return tagged(listed) == tagged(asked) || tagged(listed) == "localhost/"+tagged(asked)
	}
}

// withTag returns a name with a tag.
func withTag(name string) string {
	if strings.Contains(name[strings.LastIndexByte(name, '/')+1:], ":") {
		return name
	}
	return name + ":latest"
}

// load has the engine tell the names of images that are loaded.
func (*Proxy) load(c *call) error {
	c.query.Set("quiet", "1")
	return nil
}
