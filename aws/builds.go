package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
)

// The SDK's packages for CodeBuild and CloudWatch Logs would cost every start of the program time
// and add megabytes to it, for two operations. They are called here by AWS JSON 1.1 over HTTP, with
// the SDK's configuration, credentials and signer.

// The limits of responses.
const (
	maxResponse = 16 << 20 // bytes of one response
	maxLog      = 64 << 20 // bytes of a log
	maxLogPages = 1000     // requests for one log
)

// Builds asks CodeBuild for the record of a build in a region, "" for the account's own. The ID is
// project:uuid. It returns the response of BatchGetBuilds.
func (a *Account) Builds(ctx context.Context, region, id string, now time.Time) ([]byte, error) {
	return a.call(ctx, operation{
		service: "codebuild", target: "CodeBuild_20161006.BatchGetBuilds", region: region,
		in: map[string]any{"ids": []string{id}},
	}, now)
}

// Log asks CloudWatch Logs for the log of a build. A log that is too long is cut off.
func (a *Account) Log(ctx context.Context, region, group, stream string, now time.Time) (string, error) {
	var log strings.Builder
	token := ""
	for range maxLogPages {
		in := map[string]any{"logGroupName": group, "logStreamName": stream, "startFromHead": true}
		if token != "" {
			in["nextToken"] = token
		}
		get := operation{service: "logs", target: "Logs_20140328.GetLogEvents", region: region, in: in}
		text, err := a.call(ctx, get, now)
		if err != nil {
			return "", err
		}
		var page struct {
			Events []struct {
				Message string `json:"message"`
			} `json:"events"`
			Next string `json:"nextForwardToken"`
		}
		if err := json.Unmarshal(text, &page); err != nil {
			return "", fmt.Errorf("logs:GetLogEvents: %w", err)
		}
		for _, e := range page.Events {
			log.WriteString(strings.TrimRight(e.Message, "\n") + "\n")
		}
		if page.Next == token || page.Next == "" || log.Len() > maxLog { // the last page repeats its token
			break
		}
		token = page.Next
	}
	return log.String(), nil
}

// operation is a request to a service.
type operation struct {
	service string // as in the names of endpoints and signatures
	target  string // X-Amz-Target
	region  string // "" for the account's own
	in      map[string]any
}

// action returns the operation as policies name it, such as codebuild:BatchGetBuilds.
func (o operation) action() string {
	return o.service + ":" + o.target[strings.LastIndexByte(o.target, '.')+1:]
}

// call sends a request and returns the response.
func (a *Account) call(ctx context.Context, o operation, now time.Time) ([]byte, error) {
	if o.region == "" {
		o.region = a.config.Region
	}
	body, err := json.Marshal(o.in)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.endpoint(o), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.action(), err)
	}
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", o.target)
	keys, err := a.config.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, a.explain(ctx, "", err)
	}
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, keys, request, hex.EncodeToString(sum[:]), o.service, o.region, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.action(), err)
	}
	response, err := a.config.HTTPClient.Do(request)
	if err != nil {
		return nil, a.explain(ctx, o.action(), err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, a.explain(ctx, o.action(), err)
	case response.StatusCode != http.StatusOK:
		return nil, a.explain(ctx, o.action(), apiError(response, text))
	case len(text) > maxResponse:
		return nil, fmt.Errorf("%s: the response is longer than %d bytes", o.action(), maxResponse)
	}
	return text, nil
}

// endpoint returns the URL of a service: the one of the user's configuration, or that of the region.
func (a *Account) endpoint(o operation) string {
	if base := sdk.ToString(a.config.BaseEndpoint); base != "" {
		return strings.TrimSuffix(base, "/") + "/"
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(o.region, "cn-") {
		domain += ".cn"
	}
	return "https://" + o.service + "." + o.region + "." + domain + "/"
}

// apiError returns the error of a response. Its type is in a header or in the body, with or without
// the name of a namespace.
func apiError(response *http.Response, text []byte) error {
	var body struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &body) // of a proxy it may be HTML
	code := response.Header.Get("X-Amzn-Errortype")
	if code == "" {
		code = body.Type
	}
	code, _, _ = strings.Cut(code[strings.LastIndexByte(code, '#')+1:], ":")
	if code == "" {
		return errors.New("the service answered with " + response.Status)
	}
	return &smithy.GenericAPIError{Code: code, Message: body.Message}
}
