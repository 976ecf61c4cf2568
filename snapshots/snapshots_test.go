package snapshots_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/buildlocal/buildlocal/runner"
	"github.com/buildlocal/buildlocal/snapshots"
)

// publish stores a snapshot with a file of the engine.
func publish(t *testing.T, store snapshots.Store, s snapshots.Snapshot) *snapshots.Snapshot {
	t.Helper()
	d, err := store.New(strings.ToLower(rand.Text()))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Files, "engine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := store.All(); len(got) != 0 && got[0].Source == s.Source {
		t.Fatalf("an incomplete snapshot is listed: %+v", got[0])
	}
	if err := d.Publish(&s); err != nil {
		t.Fatal(err)
	}
	return &s
}

func TestStore_UsedSnapshotStays(t *testing.T) {
	store := snapshots.Store{Path: filepath.Join(t.TempDir(), "store")}
	taken := time.Now().Truncate(time.Second)
	s := publish(t, store, snapshots.Snapshot{Source: "/source", Phase: runner.Install, Taken: taken})
	all := store.All()
	if len(all) != 1 || all[0].ID() != s.ID() || all[0].Phase != runner.Install || !all[0].Taken.Equal(taken) {
		t.Fatalf("the store has %+v", all)
	}
	first, err := all[0].Use(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	second, err := all[0].Use(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal("two builds cannot use a snapshot at once")
	}
	if used := store.All()[0].Used(); !used.After(time.Now()) {
		t.Errorf("the snapshot was last used at %v", used)
	}
	first()
	if err := store.Remove(s.ID(), os.RemoveAll); !errors.Is(err, snapshots.ErrInUse) {
		t.Errorf("a snapshot in use is removed: %v", err)
	}
	second()
	if err := store.Remove(s.ID(), os.RemoveAll); err != nil || len(store.All()) != 0 {
		t.Errorf("the store still has %d snapshots: %v", len(store.All()), err)
	}
	if _, err := all[0].Use(time.Now()); err == nil {
		t.Error("a removed snapshot can be used")
	}
	if left, _ := os.ReadDir(store.Path); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestStore_RemovesWhatIsIncomplete(t *testing.T) {
	store := snapshots.Store{Path: t.TempDir()}
	d, err := store.New(strings.ToLower(rand.Text()))
	if err != nil {
		t.Fatal(err)
	}
	if ids := store.Incomplete(); len(ids) != 0 {
		t.Errorf("a snapshot that is being taken is incomplete: %v", ids)
	}
	if err := d.Discard(os.RemoveAll); err != nil {
		t.Fatal(err)
	}
	s := publish(t, store, snapshots.Snapshot{Source: "/source"})
	failed := errors.New("the engine cannot be reached")
	if err := store.Remove(s.ID(), func(string) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("removing failed with %v", err)
	}
	ids := store.Incomplete()
	if len(store.All()) != 0 || len(ids) != 1 {
		t.Fatalf("after a removal that failed: %d snapshots, incomplete %v", len(store.All()), ids)
	}
	if err := store.Remove(ids[0], os.RemoveAll); err != nil || len(store.Incomplete()) != 0 {
		t.Errorf("still incomplete: %v, %v", store.Incomplete(), err)
	}
}

func TestStore_RemovesDamagedSnapshots(t *testing.T) {
	store := snapshots.Store{Path: t.TempDir()}
	var names []string
	for range 3 {
		d, err := store.New(strings.ToLower(rand.Text()))
		if err == nil {
			err = d.Publish(&snapshots.Snapshot{Source: "/source"})
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, d.Name)
	}
	data := func(id string) string { return filepath.Join(store.Path, id, "snapshot.json") }
	if err := errors.Join(os.WriteFile(data(names[0]), []byte(`{"x`), 0o600), os.Remove(data(names[1]))); err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(names[:2]))
	if got := store.Incomplete(); !slices.Equal(got, want) {
		t.Fatalf("the damaged snapshots are %q, want %q", got, want)
	}
	for _, id := range want {
		if err := store.Remove(id, os.RemoveAll); err != nil {
			t.Error(err)
		}
	}
	left, err := os.ReadDir(store.Path)
	if err != nil || len(left) != 1 || left[0].Name() != names[2] {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestExcess(t *testing.T) {
	snapshot := func(source string, bytes int64) *snapshots.Snapshot {
		return &snapshots.Snapshot{Source: source, Bytes: bytes}
	}
	all := []*snapshots.Snapshot{snapshot("a", 5), snapshot("a", 5), snapshot("b", 90), snapshot("a", 1), snapshot("b", 1)}
	for _, c := range []struct {
		count int
		bytes int64
		want  []int
	}{{3, 0, nil}, {2, 0, []int{3}}, {3, 100, []int{3, 4}}, {3, 11, []int{2, 4}}} {
		got := snapshots.Excess(all, c.count, c.bytes)
		if len(got) != len(c.want) {
			t.Errorf("count %d, bytes %d: %d snapshots go, want %v", c.count, c.bytes, len(got), c.want)
			continue
		}
		for i, at := range c.want {
			if got[i] != all[at] {
				t.Errorf("count %d, bytes %d: %+v goes, want index %d", c.count, c.bytes, got[i], at)
			}
		}
	}
}
