package main

import (
	"slices"
	"strings"
	"testing"
)

func TestTheMostFrequentComesFirst(t *testing.T) {
	got := count(strings.NewReader("b A b\na B"))
	if want := []counted{{"b", 3}, {"a", 2}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
