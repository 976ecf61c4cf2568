package cache

import (
	"archive/tar"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// EncodeList lets tests of other packages forge a list of files.
var EncodeList = encodeList

func TestDecodeList_InverseOfEncode(t *testing.T) {
	t.Parallel()
	want := []File{
		{Name: "src", Kind: tar.TypeDir, Mode: 0o7777, UID: 1000, GID: math.MaxInt32, Time: math.MinInt64},
		{Name: "src/a\nb", Kind: tar.TypeReg, Size: math.MaxInt64, Time: 1},
		{Name: "src/l", Kind: tar.TypeSymlink, Link: "a\x00b"},
	}
	text := encodeList(want)
	got, err := decodeList(text)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	for n := range text { // a list of fewer files may be complete
		if got, err := decodeList(text[:n]); err == nil && len(got) >= len(want) || err != nil && !errors.Is(err, ErrBroken) {
			t.Errorf("%d bytes of %d: %v, %v", n, len(text), got, err)
		}
	}
	if got, err := decodeList(nil); !errors.Is(err, ErrBroken) {
		t.Errorf("an empty file: %v, %v", got, err)
	}
}
