package images

import (
	"net/http"
	"strconv"
	"time"
)

// maxRetryWait and maxRetries limit retries of requests that a registry has rejected with
// Retry-After: the time to wait for each, and their number.
const (
	maxRetryWait = time.Minute
	patientTo    = 3
)

// retryTransport repeats requests that a registry has rejected with 429 and Retry-After.
type retryTransport struct{ http.RoundTripper }

// RoundTrip does a request. It must have no body, and requests of a pull have none.
func (p retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	for n := 0; ; n++ {
		answer, err := p.RoundTripper.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusTooManyRequests || n == patientTo ||
			r.Body != nil && r.Body != http.NoBody {
			return answer, err
		}
		wait, given := retryAfter(answer.Header.Get("Retry-After"))
		// A registry that wants more patience has a limit for hours. The user is better served
		// by the error.
		if !given || wait > maxRetryWait {
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

// retryAfter parses the header of that name, in seconds. (Dates are not supported: no
// registry is known to send them.)
func retryAfter(text string) (wait time.Duration, given bool) {
	seconds, err := strconv.Atoi(text)
	return time.Duration(seconds) * time.Second, err == nil && seconds >= 0
}
