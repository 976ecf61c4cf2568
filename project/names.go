package project

// Names returns the names of the projects in a document that has several, as
// batch-get-projects prints it.
func Names(text []byte) []string {
	r := &reader{findings{}}
	root, ok := r.document(text)
	if !ok {
		return nil
	}
	var names []string
	for _, item := range root.child("projects").children() {
		names = append(names, item.child("name").Value)
	}
	return names
}
