package docs_test

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// These words and paths are spelled in two halves so that this file does not
// break its own rules. Three crosses are also digits in a barcode's pattern, so
// they count only where they head a comment or a colon or bracket follows.
var (
	leftOver    = regexp.MustCompile(`\b(?:TO` + `DO|FIX` + `ME|HA` + `CK)\b|\bXX` + `X[:(]|(?://|#|/\*|<!--|--)\s*XX` + `X\b`)
	machinePath = regexp.MustCompile(`(?:^|[^A-Za-z0-9_.~/-])(/(?:wo` + `rk|ro` + `ot|ho` + `me|Us` + `ers)/)`)
)

// eachLine calls see for each line of the text files that keep admits.
func eachLine(t *tree, keep func(p string) bool, see func(at, line string)) {
	for _, p := range t.paths {
		if !keep(p) {
			continue
		}
		n := 0
		for line := range strings.Lines(t.files[p]) {
			n++
			see(p+":"+strconv.Itoa(n), line)
		}
	}
}

// leftOvers finds work put off in a comment: it is done now, or it is an issue.
func leftOvers(t *tree) []finding {
	generated := map[string]bool{}
	for _, f := range t.gos {
		generated[f.path] = f.generated
	}
	ours := func(p string) bool {
		return !generated[p] && p != "LICENSE" && path.Base(p) != "go.sum" && !slices.Contains(strings.Split(p, "/"), "testdata")
	}
	var found []finding
	eachLine(t, ours, func(at, line string) {
		if word := leftOver.FindString(line); word != "" {
			found = append(found, finding{file: at, why: word + ": do it now, or file an issue"})
		}
	})
	return found
}

// machinePaths finds paths that exist on one machine only.
func machinePaths(t *tree) []finding {
	var found []finding
	eachLine(t, func(string) bool { return true }, func(at, line string) {
		if m := machinePath.FindStringSubmatch(line); m != nil {
			found = append(found, finding{file: at, why: m[1] + "… is a path of one machine"})
		}
	})
	return found
}

// A document is a Markdown file split into what is prose and what is code.
type document struct {
	path string
	// prose holds the lines with code blanked out, code the pieces of code; the
	// index is the line.
	prose []string
	code  [][]string
}

var fence = regexp.MustCompile("^\\s*(```+|~~~+)")

func documents(t *tree) []document {
	var docs []document
	for _, p := range t.paths {
		if path.Ext(p) != ".md" || slices.Contains(strings.Split(p, "/"), "testdata") {
			continue
		}
		doc, closing := document{path: p}, ""
		for line := range strings.Lines(t.files[p]) {
			line = strings.TrimRight(line, "\r\n")
			mark := fence.FindStringSubmatch(line)
			prose, code := "", []string(nil)
			switch {
			case closing == "" && mark != nil:
				closing = mark[1]
			case closing != "" && mark != nil && strings.HasPrefix(mark[1], closing):
				closing = ""
			case closing != "":
				code = []string{line}
			default:
				for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
					code = append(code, m[1])
				}
				prose = codeSpan.ReplaceAllString(line, "code")
			}
			doc.prose, doc.code = append(doc.prose, prose), append(doc.code, code)
		}
		docs = append(docs, doc)
	}
	return docs
}

var (
	inlineLink    = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)>?[^)]*\)`)
	referenceLink = regexp.MustCompile(`^\s*\[[^\]]+\]:\s*<?([^\s>]+)>?`)
	scheme        = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9+.-]*:|//)`)
)

// links finds relative links in Markdown to files, folders or headings that
// are not there.
func links(t *tree) []finding {
	there := map[string]bool{".": true}
	for _, p := range t.paths {
		for ; !there[p]; p = path.Dir(p) {
			there[p] = true
		}
	}
	var found []finding
	for _, doc := range documents(t) {
		for i, line := range doc.prose {
			for _, m := range slices.Concat(inlineLink.FindAllStringSubmatch(line, -1), referenceLink.FindAllStringSubmatch(line, -1)) {
				if why := broken(t, there, doc.path, m[1]); why != "" {
					found = append(found, finding{file: doc.path + ":" + strconv.Itoa(i+1), why: why})
				}
			}
		}
	}
	return found
}

// broken says why a link in the document from leads nowhere, or "".
func broken(t *tree, there map[string]bool, from, link string) string {
	if scheme.MatchString(link) {
		return ""
	}
	parsed, err := url.Parse(link)
	if err != nil {
		return fmt.Sprintf("link %s: %v", link, err)
	}
	target := path.Join(path.Dir(from), parsed.Path)
	if parsed.Path == "" {
		target = from
	} else if strings.HasPrefix(parsed.Path, "/") {
		target = path.Join(".", parsed.Path)
	}
	if !there[target] {
		return fmt.Sprintf("link %s: there is no %s", link, target)
	}
	if parsed.Fragment != "" && path.Ext(target) == ".md" && !slices.Contains(anchors(t.files[target]), parsed.Fragment) {
		return fmt.Sprintf("link %s: no heading in %s gives #%s", link, target, parsed.Fragment)
	}
	return ""
}

var (
	heading  = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*#*\s*$`)
	idAnchor = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
)

// anchors lists the fragments that a Markdown text answers to, made from its
// headings as the common forges make them.
func anchors(text string) []string {
	var list []string
	for _, m := range idAnchor.FindAllStringSubmatch(text, -1) {
		list = append(list, m[1])
	}
	times := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		times[anchor]++
		if n := times[anchor]; n > 1 {
			anchor += "-" + strconv.Itoa(n-1)
		}
		list = append(list, anchor)
	}
	return list
}

var (
	makeRule = regexp.MustCompile(`(?m)^([A-Za-z0-9_./-]+(?:[ \t]+[A-Za-z0-9_./-]+)*)[ \t]*:(?:[^=]|$)`)
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	andThen  = regexp.MustCompile(`&&|\|\||[;|]`)
)

// makeTargets finds commands in documents that the Makefile does not know.
func makeTargets(t *tree) []finding {
	known := map[string]bool{}
	for _, m := range makeRule.FindAllStringSubmatch(t.files["Makefile"], -1) {
		for _, name := range strings.Fields(m[1]) {
			known[name] = true
		}
	}
	var found []finding
	for _, doc := range documents(t) {
		for i, pieces := range doc.code {
			for _, piece := range pieces {
				for _, name := range namedTargets(piece) {
					if !known[name] {
						found = append(found, finding{file: doc.path + ":" + strconv.Itoa(i+1), why: "make " + name + ": the Makefile has no such target"})
					}
				}
			}
		}
	}
	return found
}

// namedTargets returns the targets that the make commands in a line of shell
// name. A make with -C or -f runs another Makefile and names none.
func namedTargets(line string) []string {
	var names []string
	for _, command := range andThen.Split(line, -1) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(command), "$ "))
		for len(words) > 0 && variable.MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) == 0 || words[0] != "make" {
			continue
		}
		for _, word := range words[1:] {
			if strings.HasPrefix(word, "#") || word == "-C" || word == "-f" {
				break
			}
			if !strings.HasPrefix(word, "-") && !variable.MatchString(word) {
				names = append(names, word)
			}
		}
	}
	return names
}
