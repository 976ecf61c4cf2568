package buildspec

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// OnFailure is a parsed on-failure. The zero value is CodeBuild's normal order of
// phases.
type OnFailure struct {
	Text    string         // as written
	Action  Action         // empty if on-failure is not set
	Retries int            // maximum number of retries of the phase; RETRY only
	Match   *regexp.Regexp // retry only if the error message matches; nil retries on any error
}

// Action is the keyword of on-failure.
type Action string

// The actions.
const (
	Abort    Action = "ABORT"
	Continue Action = "CONTINUE"
	Retry    Action = "RETRY"
)

// Documented: RETRY without a count retries three times; the maximum count is 100.
const (
	defaultRetries = 3
	maxRetries     = 100
)

// errOnFailure is the error for a text without a known keyword, and onFailureHint its hint.
var errOnFailure = errors.New("unknown on-failure")

const onFailureHint = "use ABORT, CONTINUE, RETRY, RETRY-count, RETRY-regex or RETRY-count-regex"

// ParseOnFailure parses ABORT, CONTINUE, RETRY, RETRY-count, RETRY-regex and
// RETRY-count-regex. The keyword is case-insensitive, because the documentation
// itself writes it both ways. An empty text is the zero OnFailure.
func ParseOnFailure(text string) (OnFailure, error) {
	keyword, rest, more := strings.Cut(text, "-")
	o := OnFailure{Text: text, Action: Action(strings.ToUpper(keyword))}
	switch o.Action {
	case "":
		if !more {
			return OnFailure{}, nil
		}
	case Abort, Continue:
		if !more {
			return o, nil
		}
	case Retry:
		return o.retry(rest)
	}
	return OnFailure{}, fmt.Errorf("%w %q", errOnFailure, text)
}

// retry parses the part after RETRY-. A regular expression may itself contain dashes
// and digits: only a number up to the first dash is a count.
func (o OnFailure) retry(rest string) (OnFailure, error) {
	o.Retries = defaultRetries
	count, pattern, _ := strings.Cut(rest, "-")
	if n, err := strconv.Atoi(count); err == nil {
		if n < 0 || n > maxRetries {
			return OnFailure{}, fmt.Errorf("on-failure %q: the count must be 0 to %d, not %d", o.Text, maxRetries, n)
		}
		o.Retries, rest = n, pattern
	}
	if rest == "" {
		return o, nil
	}
	match, err := regexp.Compile(rest)
	if err != nil {
		return OnFailure{}, fmt.Errorf("on-failure %q: %w", o.Text, err)
	}
	o.Match = match
	return o, nil
}
