package awstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// form parses the body of a request in the query protocol.
func form(body []byte) url.Values {
	values, _ := url.ParseQuery(string(body))
	return values
}

// getParameters responds as Parameter Store does: at most ten names, without duplicates.
func (s *Server) getParameters(q Request) (any, *fault) {
	var in struct {
		Names          []string
		WithDecryption bool
	}
	if err := json.Unmarshal([]byte(q.Body),
		&in); err != nil || len(in.Names) == 0 || len(in.Names) > 10 || !in.WithDecryption {
		return nil, &fault{400, "ValidationException", "1 validation error detected: names: " + q.Body}
	}
	// The fields are those of the API that the SDK reads.
	type parameter struct {
		Name, Type, Value, Selector, ARN string
		Version                          int
	}
	out := struct {
		Parameters        []parameter
		InvalidParameters []string
	}{[]parameter{}, []string{}}
	seen := map[string]bool{}
	for _, asked := range in.Names {
		if seen[asked] {
			return nil, &fault{400, "ValidationException", "Duplicate parameters"}
		}
		seen[asked] = true
		name := asked
		// An ARN has the name after :parameter, with its leading slash.
		if i := strings.Index(asked, ":parameter/"); strings.HasPrefix(asked, "arn:") && i > 0 {
			name = asked[i+len(":parameter"):]
		}
		value, found := s.Parameters[name]
		if s.Forgotten[name] {
			continue
		}
		if !found {
			out.InvalidParameters = append(out.InvalidParameters, asked)
			continue
		}
		// A selector is a version or a label; the service returns it with its colon.
		base, selector, selected := strings.Cut(name, ":")
		if selected {
			selector = ":" + selector
		}
		// The type has no effect on the value. A StringList is returned as one text with commas.
		kind := "SecureString"
		if strings.Contains(value, ",") {
			kind = "StringList"
		}
		out.Parameters = append(out.Parameters, parameter{base, kind, value, selector,
			"arn:aws:ssm:us-east-1:" + Account + ":parameter" + base, 1})
	}
	return out, nil
}

// getSecretValue responds as Secrets Manager does.
func (s *Server) getSecretValue(q Request) (any, *fault) {
	var in struct{ SecretId, VersionStage, VersionId string }
	if err := json.Unmarshal([]byte(q.Body), &in); err != nil || in.SecretId == "" {
		return nil, &fault{400, "ValidationException", q.Body}
	}
	name := in.SecretId
	if strings.HasPrefix(name, "arn:") {
		name = name[strings.LastIndexByte(name, ':')+1:]
		// Secrets Manager appends a dash and six random characters to the name in an ARN (documented).
		name = name[:len(name)-len("-AbCdEf")]
	}
	// A request names at most one of the two.
	version := in.VersionStage + in.VersionId
	if version == "" {
		version = "AWSCURRENT"
	}
	value, found := s.Secrets[name][version]
	if !found {
		return nil, &fault{400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."}
	}
	// A fixed VersionId is enough: no test compares versions.
	out := map[string]any{"ARN": "arn:aws:secretsmanager:us-east-1:" + Account + ":secret:" + name + "-AbCdEf",
		"Name": name, "VersionId": "0a1b", "SecretString": value}
	// Exactly one of SecretString and SecretBinary is present.
	if s.Binary[name] {
		delete(out, "SecretString")
		out["SecretBinary"] = []byte(value)
	}
	return out, nil
}

// SSOToken is the access token in the cache of a user who is logged in.
const SSOToken = "sso-token-of-the-test"

// roleCredentials responds as the portal of IAM Identity Center does.
func (s *Server) roleCredentials(r *http.Request) (any, *fault) {
	if r.Header.Get("X-Amz-Sso_bearer_token") != SSOToken {
		return nil, &fault{401, "UnauthorizedException", "Session token not found or invalid"}
	}
	return map[string]any{"roleCredentials": map[string]any{
		"accessKeyId": "ASIASSOROLE000000001", "secretAccessKey": "sso/secret+key", "sessionToken": "sso/session+token",
		"expiration": time.Now().Add(time.Hour).UnixMilli(),
	}}, nil
}

// createToken renews an SSO session if its refresh token is "good".
func (s *Server) createToken(q Request) (any, *fault) {
	if !strings.Contains(q.Body, `"good"`) {
		return nil, &fault{400, "InvalidGrantException", "Invalid refresh token provided"}
	}
	return map[string]any{"accessToken": SSOToken, "tokenType": "Bearer", "expiresIn": 3600, "refreshToken": "good"}, nil
}

// RoleKeys returns the keys of the n-th AssumeRole, counted from 1. Each call has other keys, so
// that a test can recognize renewed ones.
func RoleKeys(n int) (accessKey, secret, token string) {
	return fmt.Sprintf("ASIAROLE%012d", n), fmt.Sprintf("role/secret+key/%d", n), fmt.Sprintf("role/session+token/%d", n)
}

// query responds as STS does, in XML.
func (s *Server) query(w http.ResponseWriter, err *fault, q Request) {
	w.Header().Set("Content-Type", "text/xml")
	if err != nil {
		w.WriteHeader(err.status)
		fmt.Fprintf(
			w,
			"<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>"+
				"1</RequestId></ErrorResponse>",
			err.code,
			err.message,
		)
		return
	}
	if q.Operation == "GetCallerIdentity" {
		fmt.Fprintf(
			w,
			"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::%[1]s:key/%[2]s</Arn><User"+
				"Id>AIDA</UserId><Account>%[1]s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
			Account,
			q.AccessKey,
		)
		return
	}
	in := form([]byte(q.Body))
	// Both are required parameters of AssumeRole.
	if in.Get("RoleArn") == "" || in.Get("RoleSessionName") == "" {
		s.query(w, &fault{400, "ValidationError", "a role and a session have names"}, q)
		return
	}
	// The number of the call is part of the keys; see RoleKeys.
	s.roles++
	key, secret, token := RoleKeys(s.roles)
	// Short lifetimes make tests of renewal possible without waiting an hour.
	lifetime := s.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	fmt.Fprintf(
		w,
		"<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>%s</Arn><AssumedRoleId>A:b</AssumedRo"+
			"leId></AssumedRoleUser><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAcce"+
			"ssKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult"+
			"></AssumeRoleResponse>",
		in.Get("RoleArn"),
		key,
		secret,
		token,
		time.Now().Add(lifetime).UTC().Format(time.RFC3339),
	)
}

// buckets responds as S3 does to ListBuckets.
func (s *Server) buckets(w http.ResponseWriter, err *fault) {
	w.Header().Set("Content-Type", "application/xml")
	if err != nil {
		w.WriteHeader(err.status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", err.code, err.message)
		return
	}
	fmt.Fprint(
		w,
		`<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>1</ID></Owner>`+
			`<Buckets><Bucket><Name>a-bucket-of-the-test</Name><CreationDate>2026-01-02T03:04:05.000Z</Creati`+
			`onDate></Bucket></Buckets></ListAllMyBucketsResult>`,
	)
}
