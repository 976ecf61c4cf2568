package diag

// Check describes one thing that can be wrong, by the name its problems carry.
type Check struct {
	Name     string
	Severity Severity // as a rule
	Summary  string   // one sentence
	Softer   bool     // some of its errors are only warnings, and may be ignored
}
