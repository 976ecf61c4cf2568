package gate

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
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
func (g *Gate) Named() []string {
	g.names.mu.Lock()
	defer g.names.mu.Unlock()
	return slices.Sorted(maps.Keys(g.names.all))
}

// commit makes an image of a container.
func (g *Gate) commit(r *http.Request, _ string) error {
	query := r.URL.Query()
	if err := g.mustOwn(r.Context(), "container", query.Get("container")); err != nil {
		return err
	}
	g.givenBy(query)
	g.labelByChange(r)
	return nil
}

// givenBy notes a name that stands in two parameters.
func (g *Gate) givenBy(query url.Values) {
	name := query.Get("repo")
	if tag := query.Get("tag"); name != "" && tag != "" {
		name += ":" + tag
	}
	g.names.given(name)
}

// labelByChange labels an image that is not built from a Dockerfile.
func (g *Gate) labelByChange(r *http.Request) {
	if g.KeepImages {
		return
	}
	query := r.URL.Query()
	for name, value := range g.Labels {
		query.Add("changes", fmt.Sprintf("LABEL %q=%q", name, value))
	}
	r.URL.RawQuery = query.Encode()
}

// bring labels what is imported; what is pulled is as it is.
func (g *Gate) bring(r *http.Request, _ string) error {
	if r.URL.Query().Get("fromSrc") != "" {
		g.givenBy(r.URL.Query())
		g.labelByChange(r)
	}
	return nil
}

func (g *Gate) tag(r *http.Request, _ string) error {
	g.givenBy(r.URL.Query())
	return nil
}

// build labels what is built.
func (g *Gate) build(r *http.Request, _ string) error {
	query := r.URL.Query()
	labels := map[string]string{}
	if text := query.Get("labels"); text != "" {
		if err := json.Unmarshal([]byte(text), &labels); err != nil {
			return &refusal{http.StatusBadRequest, "labels: " + err.Error()}
		}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	for name, value := range g.Labels {
		if !g.KeepImages {
			labels[name] = value
		}
	}
	text, err := json.Marshal(labels)
	if err != nil {
		return err
	}
	query.Set("labels", string(text))
	query.Set("forcerm", "1") // what a step that fails leaves has no labels
	for _, name := range query["t"] {
		g.names.given(name)
	}
	switch mode := query.Get("networkmode"); {
	case mode == "host" && query.Get("version") == "2":
		return refuse("docker build --network host would be this machine's network; with --docker socket a build may not have it")
	case mode == "host":
		query.Set("networkmode", "container:"+g.Container)
	case strings.HasPrefix(mode, "container:"):
		name := strings.TrimPrefix(mode, "container:")
		if err := g.mustOwn(r.Context(), "container", name); err != nil && !g.itself(name) {
			return err
		}
	default:
		if err := g.mayJoin(r.Context(), mode); err != nil {
			return err
		}
	}
	r.URL.RawQuery = query.Encode()
	return nil
}

// removeImage lets the build remove what it made or named. What this machine had under
// a name is this machine's.
func (g *Gate) removeImage(r *http.Request, name string) error {
	var is struct {
		ID       string `json:"Id"`
		RepoTags []string
	}
	found, err := g.get(r.Context(), "/images/"+url.PathEscape(name)+"/json", &is)
	if err != nil || !found {
		return err
	}
	if own, err := g.owns(r.Context(), "image", name); own || err != nil {
		return err
	}
	ours := len(is.RepoTags) > 0
	for _, t := range is.RepoTags {
		ours = ours && g.names.has(t) && g.Tags[t] != is.ID
	}
	if taken := g.names.has(name) && g.Tags[tagged(name)] != is.ID; taken || ours {
		return nil
	}
	return refuse("the image %s is this machine's; with --docker socket a build removes only what it made", name)
}

// load notes what is loaded; the engine tells its names.
func (*Gate) load(r *http.Request, _ string) error {
	query := r.URL.Query()
	query.Set("quiet", "1")
	r.URL.RawQuery = query.Encode()
	return nil
}

// loaded reads names off the answer to a load.
type loaded struct {
	io.ReadCloser
	note func(name string)
	line []byte
}

// Read passes on, and looks for names.
func (l *loaded) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	const begins, most = "Loaded image: ", 64 << 10
	l.line = append(l.line, p[:n]...)
	for {
		line, rest, whole := bytes.Cut(l.line, []byte("\n"))
		if !whole && err == nil {
			break
		}
		if at := bytes.Index(line, []byte(begins)); at >= 0 {
			name, _, _ := bytes.Cut(line[at+len(begins):], []byte(`\n`))
			l.note(strings.Trim(string(name), "\" }\r"))
		}
		if l.line = rest; !whole {
			break
		}
	}
	if len(l.line) > most {
		l.line = nil
	}
	return n, err
}

// sniffer passes on what a client says to BuildKit, and looks for the names of images:
// the entry "name" of the exporter's attributes, in the wire format of Protocol Buffers.
type sniffer struct {
	io.ReadWriteCloser
	note func(name string)
	tail []byte
}

var nameEntry = []byte("\n\x04name\x12")

// Write passes on.
func (s *sniffer) Write(p []byte) (int, error) {
	const most = 4 << 10 // how long an entry may be, in bytes
	s.tail = append(s.tail, p...)
	for {
		at := bytes.Index(s.tail, nameEntry)
		if at < 0 {
			break
		}
		rest := s.tail[at+len(nameEntry):]
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > most || uint64(len(rest)-n) < length {
			s.tail = s.tail[at:]
			break // the rest of it is to come, or it is none
		}
		for _, name := range strings.Split(string(rest[n:n+int(length)]), ",") {
			s.note(name)
		}
		s.tail = rest[n+int(length):]
	}
	if over := len(s.tail) - most; over > 0 {
		s.tail = append([]byte(nil), s.tail[over:]...)
	}
	return s.ReadWriteCloser.Write(p)
}

// CloseWrite ends what the client says.
func (s *sniffer) CloseWrite() error {
	if half, can := s.ReadWriteCloser.(interface{ CloseWrite() error }); can {
		return half.CloseWrite()
	}
	return nil
}
