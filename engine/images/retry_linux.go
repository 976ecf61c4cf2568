package images

import (
	"net/http"
	"strconv"
	"time"
)

// patience is how long a registry is waited for that says when it may be asked again,
// at most, and how often.
const (
	patience  = time.Minute
	patientTo = 3
)

// patient asks again when a registry that is asked too often says when.
type retryTransport struct{ http.RoundTripper }

// RoundTrip does one request. It has no body, as all that a pull asks.
func (p retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	for n := 0; ; n++ {
		answer, err := p.RoundTripper.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests || n == patientTo ||
			r.Body != nil && r.Body != http.NoBody {
			return answer, err
		}
		wait, given := retryAfter(answer.Header.Get("Retry-After"))
		if !given || wait > patience {
			return answer, nil
		}
		_ = answer.Body.Close()
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(wait):
		}
	}
}

// retryAfter reads the header of that name: seconds. (It may be a time too, which no
// registry is known to give.)
func retryAfter(text string) (wait time.Duration, given bool) {
	seconds, err := strconv.Atoi(text)
	return time.Duration(seconds) * time.Second, err == nil && seconds >= 0
}
