package cli

import (
	"errors"
	"strconv"
	"time"
)

// Minutes is a duration that a plain number gives in minutes, as timeoutInMinutes of a
// CodeBuild project does. A fraction is accepted too: 0.5 is 30 seconds.
type Minutes time.Duration

// Set parses a Go duration or a number of minutes.
func (m *Minutes) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, notNumber := strconv.ParseFloat(text, 64); notNumber == nil {
		d, err = time.Duration(n*float64(time.Minute)), nil
	}
	if err != nil {
		return errors.New("expected a duration such as 90s or 45m, or a number of minutes")
	}
	if d <= 0 {
		return errors.New("expected a duration greater than 0, such as 90s or 45m, or a number of minutes")
	}
	*m = Minutes(d)
	return nil
}

// String returns the duration, or "" if it is not set. pflag prints no default for "".
func (m *Minutes) String() string {
	if *m == 0 {
		return ""
	}
	return time.Duration(*m).String()
}

// Type returns the kind of the value for the help.
func (m *Minutes) Type() string { return "duration" }
