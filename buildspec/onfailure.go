package buildspec

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// OnFailure says what follows when a phase fails. The zero value is the order
// of the service.
type OnFailure struct {
	Text    string // as written
	Action  Action
	Retries int            // how often a phase that fails is run again
	Match   *regexp.Regexp // RETRY only where the error message matches; nil for any
}

// Action is the keyword of on-failure.
type Action string

// The actions. Empty means the normal order of the phases.
const (
	Abort    Action = "ABORT"
	Continue Action = "CONTINUE"
	Retry    Action = "RETRY"
)

// Documented: RETRY alone means three times, a count is at most 100.
const (
	defaultRetries = 3
	maxRetries     = 100
)

// ParseOnFailure reads ABORT, CONTINUE, RETRY, RETRY-count, RETRY-regex and
// RETRY-count-regex. The keyword's case does not count: the documentation
// itself mixes it.
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
	return OnFailure{}, fmt.Errorf("unknown on-failure %q; expected ABORT, CONTINUE, RETRY, RETRY-count, RETRY-regex or RETRY-count-regex", text)
}

func (o OnFailure) retry(rest string) (OnFailure, error) {
	o.Retries = defaultRetries
	count, pattern, _ := strings.Cut(rest, "-")
	if n, err := strconv.Atoi(count); err == nil {
		if n < 0 || n > maxRetries {
			return OnFailure{}, fmt.Errorf("on-failure %q retries %d times; expected 0 to %d", o.Text, n, maxRetries)
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
