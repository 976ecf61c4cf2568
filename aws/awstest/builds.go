package awstest

import (
	"encoding/json"
	"strconv"
)

// batchGetBuilds responds as CodeBuild does: unknown builds are listed, and are no error.
func (s *Server) batchGetBuilds(q Request) (any, *fault) {
	var in struct {
		IDs []string `json:"ids"`
	}
	if err := json.Unmarshal([]byte(q.Body), &in); err != nil || len(in.IDs) == 0 || q.Service != "codebuild" {
		return nil, &fault{400, "InvalidInputException", "Invalid input: " + q.Body}
	}
	out := struct {
		Builds   []json.RawMessage `json:"builds"`
		NotFound []string          `json:"buildsNotFound"`
	}{[]json.RawMessage{}, []string{}}
	for _, id := range in.IDs {
		if text, found := s.Builds[id]; found {
			out.Builds = append(out.Builds, json.RawMessage(text))
		} else {
			out.NotFound = append(out.NotFound, id)
		}
	}
	return out, nil
}

// getLogEvents responds as CloudWatch Logs does, with two events in a response. The token of the
// last one leads to itself.
func (s *Server) getLogEvents(q Request) (any, *fault) {
	var in struct {
		Group  string `json:"logGroupName"`
		Stream string `json:"logStreamName"`
		Token  string `json:"nextToken"`
		Head   bool   `json:"startFromHead"`
	}
	if err := json.Unmarshal([]byte(q.Body), &in); err != nil || !in.Head || q.Service != "logs" {
		return nil, &fault{400, "InvalidParameterException", q.Body}
	}
	all, found := s.Logs[in.Group+":"+in.Stream]
	if !found {
		return nil, &fault{400, "ResourceNotFoundException", "The specified log stream does not exist."}
	}
	from, _ := strconv.Atoi(in.Token)
	const size = 2
	to := min(len(all), from+size)
	events := []map[string]any{}
	for _, message := range all[min(from, len(all)):to] {
		events = append(events, map[string]any{"message": message, "timestamp": 1})
	}
	return map[string]any{"events": events, "nextForwardToken": strconv.Itoa(to)}, nil
}
