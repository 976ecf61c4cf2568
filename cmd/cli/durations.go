package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Days is a duration that can also be given in days, which Go durations cannot.
type Days time.Duration

// day ignores changes of the clock: ages of images are approximate.
const day = 24 * time.Hour

// Set reads a Go duration, or a number of days such as 7d.
func (d *Days) Set(text string) error {
	// No unit of Go ends with d, so there is no conflict. Combinations such as 1d12h are
	// rejected.
	if number, is := strings.CutSuffix(text, "d"); is {
		if n, err := strconv.Atoi(number); err == nil {
			*d = Days(time.Duration(n) * day)
			return nil
		}
	}
	t, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("not a duration; use 7d or 48h")
	}
	*d = Days(t)
	return nil
}

// String returns whole days with the unit d, and other durations as Go does.
func (d *Days) String() string {
	if t := time.Duration(*d); t%day != 0 {
		return t.String()
	}
	return strconv.Itoa(int(time.Duration(*d)/day)) + "d"
}

// Type is the name of the value in the help.
func (d *Days) Type() string { return "time" }

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
		return errors.New("not a duration; use 90s, 45m or a number of minutes")
	}
	if d <= 0 {
		return errors.New("must be greater than 0; use 90s, 45m or a number of minutes")
	}
	*m = Minutes(d)
	return nil
}

// String returns the duration, or "" if it is not set. pflag prints no default for "".
func (m *Minutes) String() string {
	if *m == 0 {
		return ""
	}
	text := time.Duration(*m).String()
	for _, zero := range []struct{ suffix, left string }{{"m0s", "m"}, {"h0m", "h"}} {
		if short, found := strings.CutSuffix(text, zero.suffix); found {
			text = short + zero.left
		}
	}
	return text
}

// Type returns the kind of the value for the help.
func (m *Minutes) Type() string { return "duration" }

// Boolean also accepts yes and no, on and off for a flag that is true or false, because
// they are booleans in YAML 1.1. Other values are returned as they are.
func Boolean(flag *pflag.Flag, value string) string {
	if flag.Value.Type() != "bool" {
		return value
	}
	switch strings.ToLower(value) {
	case "yes", "on":
		return "true"
	case "no", "off":
		return "false"
	}
	return value
}
