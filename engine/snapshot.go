package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Snapshotter is a Container whose files can be copied while it goes on.
type Snapshotter interface {
	// Changed returns about how many bytes a snapshot copies. It stops counting above limit.
	Changed(ctx context.Context, limit int64) (int64, error)
	// Snapshot copies the files that the container has changed, for a Start with Spec.Snapshot: the
	// files of the container and of its trees, but not those in Scratch and in volumes. No process
	// may write meanwhile. It returns the bytes that were copied.
	//
	// After an error, the remains are removed with Restorer.RemoveSnapshot. The error
	// wraps ErrUnsupported if the driver cannot copy the files of this container.
	Snapshot(ctx context.Context, to SnapshotTo) (bytes int64, err error)
}

// SnapshotTo is where a snapshot is stored.
type SnapshotTo struct {
	Dir    string            // an empty directory of the host
	Name   string            // unique, for objects of the engine
	Labels map[string]string // put on that; they replace the container's of the same name
	// Earlier is the directory of a snapshot of the same container, and Since when it was begun. Files
	// that have not changed since then are shared. It may be empty.
	Earlier string
	Since   time.Time
}

// Restorer is an Engine that starts containers from snapshots.
type Restorer interface {
	// CheckSnapshot returns an error if the snapshot in a directory is not one of the image as it is
	// now, or if parts of it are gone. It pulls nothing.
	CheckSnapshot(ctx context.Context, dir string, image ImageRef) error
	// RemoveSnapshot removes a snapshot with its directory. It is not an error if parts of it are
	// gone already.
	RemoveSnapshot(ctx context.Context, dir string) error
}

// snapshotName is the file in a snapshot's directory with the driver's data.
const snapshotName = "engine.json"

// storedSnapshot is the content of that file.
type storedSnapshot struct {
	Layers int // how many the snapshot has
	Driver json.RawMessage
}

// WriteSnapshot stores the driver's data about a snapshot, whose layers are complete.
func WriteSnapshot(dir string, data any) error {
	driver, err := json.Marshal(data)
	if err != nil {
		return err
	}
	text, err := json.Marshal(storedSnapshot{len(SnapshotLayers(dir)), driver})
	if err != nil {
		return err
	}
	const mine = 0o600
	return os.WriteFile(filepath.Join(dir, snapshotName), text, mine)
}

// ReadSnapshot reads the data of WriteSnapshot. It is an error if a layer is gone; the data is read
// nevertheless, to remove the rest.
func ReadSnapshot(dir string, data any) error {
	var stored storedSnapshot
	text, err := os.ReadFile(filepath.Join(dir, snapshotName))
	if err == nil {
		err = json.Unmarshal(text, &stored)
	}
	if err == nil {
		err = json.Unmarshal(stored.Driver, data)
	}
	if n := len(SnapshotLayers(dir)); err == nil && n != stored.Layers {
		err = fmt.Errorf("it has %d of %d layers", n, stored.Layers)
	}
	if err != nil {
		return fmt.Errorf("the snapshot is damaged: %w", err)
	}
	return nil
}

// SnapshotLayer returns the directory of layer n of a snapshot, from 0. Each has the changes since the
// one before, with a directory for each mounted overlay.
func SnapshotLayer(dir string, n int) string {
	return filepath.Join(dir, "layers", strconv.Itoa(n))
}

// SnapshotLayers returns the directories of all layers of a snapshot, the lowest first. dir may be "".
func SnapshotLayers(dir string) []string {
	var all []string
	if dir == "" {
		return nil
	}
	for n := 0; ; n++ {
		layer := SnapshotLayer(dir, n)
		if _, err := os.Lstat(layer); err != nil {
			return all
		}
		all = append(all, layer)
	}
}

// SnapshotMount returns the directories of the layers that have changes to the overlay with a name,
// the lowest first.
func SnapshotMount(layers []string, name string) []string {
	var all []string
	for _, layer := range layers {
		dir := filepath.Join(layer, name)
		if _, err := os.Lstat(dir); err == nil {
			all = append(all, dir)
		}
	}
	return all
}

// ErrOtherImage is wrapped by the error of CheckSnapshot for an image that has changed.
var ErrOtherImage = errors.New("the image has changed")
