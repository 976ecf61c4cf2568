package apiproxy

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// newer reports whether an API version is newer than those that are served.
func newer(version string) bool {
	// The major version has been 1 since the beginning.
	minor, err := strconv.Atoi(strings.TrimPrefix(version, "1."))
	return err == nil && strings.HasPrefix(version, "1.") && minor > maxVersion
}

// limitVersion replaces a newer API version in the engine's response by the newest that is
// served.
func limitVersion(answer *http.Response) error {
	// The response is a few hundred bytes. All other fields are passed on as they came.
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	told := map[string]json.RawMessage{}
	version := ""
	if json.Unmarshal(text, &told) == nil && json.Unmarshal(told["ApiVersion"], &version) == nil && newer(version) {
		told["ApiVersion"] = json.RawMessage(strconv.Quote(newestVersion))
		if text, err = json.Marshal(told); err != nil {
			return err
		}
		answer.Header.Set("Content-Length", strconv.Itoa(len(text)))
		answer.ContentLength = int64(len(text))
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	return nil
}
