package control_test

import (
	"testing"

	"github.com/buildlocal/buildlocal/control"
)

func TestSyncReport_Text(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		report control.SyncReport
		want   string
	}{
		{control.SyncReport{}, ""},
		{control.SyncReport{Copied: []string{"a"}}, "synced 1 file"},
		{control.SyncReport{Copied: []string{"a", "b"}, Removed: []string{"c"}}, "synced 2 files, removed 1"},
		{control.SyncReport{Removed: []string{"c", "d"}}, "removed 2 files"},
	} {
		if got := test.report.Text(); got != test.want {
			t.Errorf("%+v: got %q, want %q", test.report, got, test.want)
		}
	}
}
