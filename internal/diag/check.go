package diag

// Check describes one kind of problem. Problems carry its name.
type Check struct {
	Name     string
	Severity Severity // usual severity of the check's problems
	Summary  string   // one sentence
	Softer   bool     // some of its errors are only warnings, so it can be ignored
}
