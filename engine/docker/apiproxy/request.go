package apiproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// call is a request in progress. The request to the engine is created from it, so that the engine
// gets only the checked parts, in the form in which they were checked. To check a request and pass
// it on as it is would rely on the engine parsing it exactly as this package does.
type call struct {
	*http.Request // as the build has sent it

	route *route
	api   string // version prefix of the path, such as /v1.41; empty for the engine's newest
	name  string // value of {id} or {name...} in the route's pattern, which a handler replaces by the full ID
	query url.Values
	body  object // of routes with jsonBody

	stream  io.ReadCloser // of routes with tarBody
	handled http.Handler  // responds instead of the engine
}

// The API versions that are served. Older ones have fields in places that are not checked
// (HostConfig at start, before 1.24), and newer ones are unknown.
const (
	minVersion = 24
	maxVersion = 51
)

// newestVersion is announced to clients, so that they do not use a newer one.
const newestVersion = "1.51"

// target splits a path into the API version and the rest. Only the canonical spelling is
// accepted.
func target(r *http.Request) (api, path string, err error) {
	u := r.URL
	// The decoded path is checked and encoded again later. A path in which %2F or .. means something
	// else to the engine does not arrive.
	path = u.Path
	if u.Host != "" || u.Scheme != "" || u.Opaque != "" || u.User != nil || !strings.HasPrefix(path, "/") {
		return "", "", badRequest("the request target is not a path; send GET /version, not a URL")
	}
	first, rest, _ := strings.Cut(path[1:], "/")
	// An image may be called v1.2 and so on, but only after /images/.
	if len(first) > 1 && first[0] == 'v' && first[1] >= '0' && first[1] <= '9' {
		if err := checkVersion(first); err != nil {
			return "", "", err
		}
		// The version must be the same for a parser that does not decode the path.
		if !strings.HasPrefix(u.EscapedPath(), "/"+first+"/") {
			return "", "", badRequest("the API version in %s is escaped", u.EscapedPath())
		}
		api, path = "/"+first, "/"+rest
	}
	// Some clients send /networks/ with a slash at the end.
	if path != "/networks/" && !validPath(path) {
		return "", "", badRequest("the path %q is not in canonical form", path)
	}
	return api, strings.TrimSuffix(path, "/"), nil
}

// checkVersion checks a version prefix such as v1.41.
func checkVersion(text string) error {
	minor, err := strconv.Atoi(strings.TrimPrefix(text, "v1."))
	switch {
	case err != nil || text != "v1."+strconv.Itoa(minor):
		return badRequest("invalid API version %q; write it as v1.%d", text, maxVersion)
	case minor < minVersion:
		// The wording is the engine's: clients recognize it and some then negotiate another version.
		return badRequest("client version %s is too old. Minimum supported API version is 1.%d, "+
			"please upgrade your client to a newer version", text[1:], minVersion)
	case minor > maxVersion:
		return badRequest("client version %s is too new. Maximum supported API version is %s", text[1:], newestVersion)
	}
	return nil
}

// validPath reports whether a decoded path has no empty, "." or ".." segments, and only
// characters that occur in names and references. The check is stricter than the engine: names with
// other characters cannot exist, so refusing them early loses nothing and rules out surprises such
// as control characters or backslashes.
func validPath(path string) bool {
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." || strings.IndexFunc(segment, isUnusual) >= 0 {
			return false
		}
	}
	return true
}

// isUnusual reports whether a character does not occur in any name.
func isUnusual(c rune) bool {
	letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	return !letter && !strings.ContainsRune("_.:@+-", c)
}

// parse checks the form of a request against its route, but not its meaning.
func parse(r *http.Request) (*call, error) {
	api, path, err := target(r)
	if err != nil {
		return nil, err
	}
	// The route is looked up first: everything after it depends on it.
	route, name := findRoute(r.Method, path)
	if route == nil {
		return nil, refuse("%s %s is not available with --docker socket, which shares the host's engine; "+
			"use --docker nested --privileged for an engine of its own", r.Method, path)
	}
	c := &call{Request: r, route: route, api: api, name: name}
	if c.query, err = pick(r.URL.RawQuery, route.query); err != nil {
		return nil, err
	}
	return c, c.readBody()
}

// pick returns the parameters that a route has. The engine ignores others, and some clients
// send all fields of the body as parameters too. A parameter that is given twice is refused,
// because the engine takes the first value, and other programs take the last.
func pick(raw, known string) (url.Values, error) {
	all, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badRequest("parameters: %v", err)
	}
	picked := url.Values{}
	for name := range strings.FieldsSeq(known) {
		name, many := strings.CutSuffix(name, "*")
		values := all[name]
		if !many && len(values) > 1 {
			return nil, badRequest("the parameter %s is given %d times", name, len(values))
		}
		if len(values) > 0 {
			picked[name] = values
		}
	}
	return picked, nil
}

// maxBody bounds the length of a JSON body in bytes. The largest legitimate body is a container's
// configuration with all its variables.
const maxBody = 8 << 20

// readBody reads a JSON body, or checks that there is no body if the route has none.
func (c *call) readBody() error {
	kind, err := c.contentType()
	switch {
	case err != nil:
		return err
	case c.route.body == tarBody:
		if !slices.Contains(tarTypes, kind) {
			return unsupported(kind, "send application/x-tar")
		}
		c.stream = c.Request.Body
		return nil
	}
	// One byte more than the limit distinguishes a body of exactly that size from a longer one.
	text, err := io.ReadAll(io.LimitReader(c.Request.Body, maxBody+1))
	if err != nil {
		return err
	}
	text = bytes.TrimSpace(text)
	switch {
	case len(text) > maxBody:
		return &refusal{http.StatusRequestEntityTooLarge, "buildlocal: the request is longer than 8 MiB"}
	case c.route.body == noBody:
		return c.needsNoBody(kind, text)
	case len(text) > 0 && kind != "" && kind != "application/json":
		return unsupported(kind, "send application/json")
	}
	c.body, err = decode(text)
	return err
}

// needsNoBody drops the body of a request that needs none: some clients repeat the
// parameters there in JSON. Engines have used such a body only at start, where it is
// refused.
func (c *call) needsNoBody(kind string, text []byte) error {
	switch {
	case slices.Contains([]string{"", "{}", "null", `""`}, string(text)):
		return nil
	case kind != "" && kind != "application/json", !json.Valid(text), c.route.pattern == startPattern:
		return badRequest("%s %s takes no body", c.Method, c.route.pattern)
	}
	return nil
}

const startPattern = "/containers/{id}/start"

// tarTypes are the media types with which clients send archives, and pull requests. The
// engine detects the compression itself.
var tarTypes = []string{
	"", "application/json", "application/x-tar", "application/tar", "application/octet-stream",
	"text/plain", "application/gzip", "application/x-gzip",
	"application/x-bzip2", "application/x-xz", "application/zstd",
}

// contentType returns the media type of the body, without parameters; "" without a header.
func (c *call) contentType() (string, error) {
	values := c.Header.Values("Content-Type")
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return "", nil
	}
	kind, _, err := mime.ParseMediaType(values[0])
	if err != nil || len(values) > 1 {
		return "", unsupported(strings.Join(values, ", "), "send one media type")
	}
	return kind, nil
}

// unsupported returns the error for a body in another format. A form, for example, could be parsed
// differently by the engine.
func unsupported(kind, way string) error {
	return &refusal{http.StatusUnsupportedMediaType,
		"buildlocal: a body of the type " + kind + " is not available with --docker socket; " + way}
}

// badRequest returns the error for a request that is malformed, rather than forbidden.
func badRequest(format string, args ...any) error {
	return refuseWith(http.StatusBadRequest, format, args...)
}

// decode parses exactly one JSON object.
func decode(text []byte) (object, error) {
	o := object{}
	if len(text) == 0 {
		return o, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	// Numbers keep their text: IDs and sizes beyond 2^53 would otherwise change.
	decoder.UseNumber()
	if err := decoder.Decode(&o); err != nil {
		return nil, badRequest("the request is not a JSON object: %v", err)
	}
	// The engine reads only the first value. A second one can only be an attempt to confuse one of the
	// two parsers.
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, badRequest("the request has more than one JSON value")
	}
	if o == nil { // null
		o = object{}
	}
	return o, nil
}

// sentHeaders are the headers that are sent to the engine, besides those of the body. Host,
// Authorization, forwarding headers and anything that a later engine may interpret are not among
// them.
var sentHeaders = []string{
	"Accept", "User-Agent", "X-Registry-Auth", "X-Registry-Config",
	"X-Docker-Expose-Session-Uuid", "X-Docker-Expose-Session-Name",
	"X-Docker-Expose-Session-Sharedkey", "X-Docker-Expose-Session-Grpc-Method",
}

// outgoing creates the request to the engine.
func (c *call) outgoing() (*http.Request, error) {
	// The URL is built from the route and checked parts; nothing of the text of the request is copied.
	u := &url.URL{Scheme: "http", Host: "engine", Path: c.api + c.route.path(c.name), RawQuery: c.query.Encode()}
	body, err := c.sentBody()
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(c.Context(), c.Method, u.String(), body)
	if err != nil {
		return nil, badRequest("%v", err)
	}
	if c.stream != nil {
		// The length is that which the client announced; net/http makes sure that as much arrives.
		r.ContentLength = c.ContentLength // -1 if it is unknown
	}
	for _, name := range sentHeaders {
		if values := c.Header.Values(name); len(values) > 0 {
			r.Header[http.CanonicalHeaderKey(name)] = values // a session announces several methods
		}
	}
	switch {
	case c.route.body == tarBody:
		r.Header.Set("Content-Type", "application/x-tar")
	case c.body != nil:
		r.Header.Set("Content-Type", "application/json")
	}
	// Only the protocol of the route is offered. Clients that do not ask for an upgrade get the older
	// form of a hijacked connection.
	if want := c.route.upgrade; want != "" && strings.EqualFold(c.Header.Get("Upgrade"), want) {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", want)
	}
	return r, nil
}

// sentBody returns the body for the engine: an archive as it comes, JSON encoded again from the
// checked fields.
func (c *call) sentBody() (io.Reader, error) {
	switch {
	case c.stream != nil && c.ContentLength != 0:
		return c.stream, nil
	case c.body == nil:
		return http.NoBody, nil
	}
	text, err := json.Marshal(c.body)
	return bytes.NewReader(text), err
}
