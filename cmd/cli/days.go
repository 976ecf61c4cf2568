package cli

import (
	"errors"
	"strconv"
	"strings"
	"time"
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
