package project

import "github.com/buildlocal/buildlocal/internal/diag"

// artifacts reads a ProjectArtifacts of the API.
func (r *reader) artifacts(n node) Artifacts {
	var a Artifacts
	for _, f := range r.entries(n) {
		switch f.name {
		case "type":
			a.Type = r.word(f.value, artifactsTypes, diag.Error)
		case "location":
			a.Location = r.optionalText(f.value)
		case "path":
			a.Path = r.text(f.value)
		case "namespaceType":
			a.NamespaceType = r.word(f.value, namespaceTypes, diag.Error)
		case "name":
			a.Name = r.text(f.value)
		case "packaging":
			a.Packaging = r.word(f.value, packagings, diag.Error)
		case "overrideArtifactName":
			a.OverrideName = r.flag(f.value)
		case "encryptionDisabled":
			a.EncryptionDisabled = r.flag(f.value)
		case "artifactIdentifier":
			a.Identifier = r.identifier(f.value)
		case "bucketOwnerAccess": // a local build has no bucket
		default:
			r.unknown(f, artifactsKeys)
		}
	}
	return a
}

// secondaryArtifacts reads a list of ProjectArtifacts. Documented: the type CODEPIPELINE is
// not allowed for secondary artifacts.
func (r *reader) secondaryArtifacts(n node) []Artifacts {
	var all []Artifacts
	known := map[string]bool{}
	for _, item := range r.secondary(n) {
		a := r.artifacts(item)
		r.unique(item, "artifactIdentifier", a.Identifier, known)
		if a.Type == "CODEPIPELINE" {
			r.problem(diag.Error, item.child("type"), "secondary artifacts cannot have type CODEPIPELINE").
				Hint = "use S3 or NO_ARTIFACTS"
		}
		all = append(all, a)
	}
	return all
}
