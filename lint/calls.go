package lint

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Expanded represents an expansion of the shell in a word of a Script. No shell can have this byte
// in a word.
const Expanded = "\x00"

// Script lists everything that a shell script names, in the order of the text. It is for callers that
// ask which files a script may use, and not in which order it does.
type Script struct {
	Calls [][]string // simple commands, also those in functions, branches, loops and substitutions
	Names []string   // other words that may be files: redirections, items of loops, operands of [[ ]]
	// Functions are the names of functions, whose commands are in Calls.
	Functions []string
}

// ParseScript returns the contents of a shell script, and whether it could be parsed. The grammar is
// that of bash. Expansions in words are replaced by Expanded, except for those that name the source
// directory or the working directory, which are replaced by a dot.
func ParseScript(text string) (Script, bool) {
	var s Script
	if tooLong(text) {
		return s, false
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil {
		return s, false
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		s.add(n)
		return true
	})
	return s, true
}

// add adds one node, without its children.
func (s *Script) add(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.CallExpr:
		if len(n.Args) > 0 {
			s.Calls = append(s.Calls, named(n.Args))
		}
	// export, local and readonly with assignments; a substitution in them is a call of its own.
	case *syntax.DeclClause:
		s.Calls = append(s.Calls, []string{n.Variant.Value})
	case *syntax.FuncDecl:
		if n.Name != nil {
			s.Functions = append(s.Functions, n.Name.Value)
		}
	case *syntax.WordIter:
		s.Names = append(s.Names, named(n.Items)...)
	case *syntax.UnaryTest:
		s.addName(n.X)
	case *syntax.BinaryTest:
		s.addName(n.X)
		s.addName(n.Y)
	case *syntax.Redirect:
		s.addRedirect(n)
	}
}

// addRedirect adds the file of a redirection. A file that is written to counts if its name is known:
// the next commands find another content than that of the source.
func (s *Script) addRedirect(r *syntax.Redirect) {
	name := nameOf(r.Word)
	switch r.Op {
	case syntax.RdrIn, syntax.RdrInOut:
		s.Names = append(s.Names, name)
	case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll:
		if !strings.Contains(name, Expanded) {
			s.Names = append(s.Names, name)
		}
	}
}

// addName adds an operand of [[ ]] if it is a word.
func (s *Script) addName(x syntax.TestExpr) {
	if word, is := x.(*syntax.Word); is {
		s.Names = append(s.Names, nameOf(word))
	}
}

func named(words []*syntax.Word) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = nameOf(w)
	}
	return all
}

// nameOf returns the text of a word with Expanded for each expansion.
func nameOf(word *syntax.Word) string {
	if word == nil {
		return ""
	}
	var text strings.Builder
	for _, part := range word.Parts {
		writePart(&text, part)
	}
	return text.String()
}

func writePart(text *strings.Builder, part syntax.WordPart) {
	switch part := part.(type) {
	case *syntax.Lit:
		text.WriteString(unescaped(part.Value))
	case *syntax.SglQuoted:
		text.WriteString(strings.ReplaceAll(part.Value, Expanded, ""))
	case *syntax.DblQuoted:
		for _, inner := range part.Parts {
			writePart(text, inner)
		}
	case *syntax.ParamExp:
		if part.Param != nil && part.Exp == nil && slices.Contains(topVariables, part.Param.Value) {
			text.WriteString(".")
			return
		}
		text.WriteString(Expanded)
	case *syntax.CmdSubst:
		if isPwd(part) {
			text.WriteString(".")
			return
		}
		text.WriteString(Expanded)
	default:
		text.WriteString(Expanded)
	}
}

// topVariables are variables with the source directory or the working directory.
var topVariables = []string{"CODEBUILD_SRC_DIR", "PWD"}

// isPwd reports whether a substitution is $(pwd).
func isPwd(s *syntax.CmdSubst) bool {
	if len(s.Stmts) != 1 {
		return false
	}
	program, words := name(s.Stmts[0])
	return program == "pwd" && len(words) == 1
}

// unescaped removes the backslashes of a word.
func unescaped(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			if i++; text[i] == '\n' { // the line goes on
				continue
			}
		}
		if text[i] != Expanded[0] {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// Unwrapped returns a command without the programs that only run it: sudo, env, time, timeout and
// similar ones. The program is without its directory if that is one of the system.
func Unwrapped(words []string) []string {
	words = unwrapped(words)
	if len(words) > 0 && path.IsAbs(words[0]) {
		words = append([]string{path.Base(words[0])}, words[1:]...)
	}
	return words
}
