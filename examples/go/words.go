// Command words counts the words of its input, the most frequent first.
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

func main() {
	for _, c := range count(os.Stdin) {
		fmt.Println(c.n, c.word)
	}
}

type counted struct {
	word string
	n    int
}

func count(r io.Reader) []counted {
	numbers := map[string]int{}
	words := bufio.NewScanner(r)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		numbers[strings.ToLower(words.Text())]++
	}
	var all []counted
	for word, n := range numbers {
		all = append(all, counted{word, n})
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Or(b.n-a.n, cmp.Compare(a.word, b.word)) })
	return all
}
