package trust

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStore_RemembersUntilRemoved(t *testing.T) {
	s := Open(filepath.Join(t.TempDir(), "trust"))
	if _, found, err := s.Find("/src"); found || err != nil {
		t.Fatalf("an empty store finds %t, %v", found, err)
	}
	files := map[string]string{".buildlocal.yml": Sum([]byte("a"))}
	if err := s.Add(Record{Directory: "/src", Files: files, Allows: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	r, found, err := s.Find("/src")
	if err != nil || !found || !r.Covers(files) {
		t.Fatalf("found %t, %+v, %v", found, r, err)
	}
	if all, err := s.List(); err != nil || len(all) != 1 {
		t.Errorf("List returns %d records, %v", len(all), err)
	}
	if removed, err := s.Remove("/src"); !removed || err != nil {
		t.Errorf("Remove returns %t, %v", removed, err)
	}
	if removed, err := s.Remove("/src"); removed || err != nil {
		t.Errorf("the second Remove returns %t, %v", removed, err)
	}
}

func TestRecord_CoversExactlyItsFiles(t *testing.T) {
	r := Record{Files: map[string]string{"a": "1", "b": "2"}}
	for name, files := range map[string]map[string]string{
		"a changed file": {"a": "1", "b": "3"}, "a file less": {"a": "1"},
		"a file more": {"a": "1", "b": "2", "c": "3"}, "another name": {"a": "1", "c": "2"}, "no files": nil,
	} {
		if r.Covers(files) {
			t.Errorf("%s is covered", name)
		}
	}
	if (Record{}).Covers(nil) {
		t.Error("an empty record covers no files")
	}
}

func TestStore_ReportsBrokenRecords(t *testing.T) {
	dir := t.TempDir()
	s := Open(dir)
	if err := os.WriteFile(s.file("/src"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, found, err := s.Find("/src"); found || err == nil {
		t.Errorf("Find returns %t, %v; want an error", found, err)
	}
	if err := Open("").Add(Record{Directory: "/src"}); err == nil {
		t.Error("a store without a directory remembers")
	}
}
