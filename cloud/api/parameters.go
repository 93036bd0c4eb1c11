package api

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"counterpart/protocol"
)

// knownParameters refuses a request with a parameter that its address does not
// know, or gives twice, so that no misspelt one is silently without effect.
func knownParameters(r *http.Request, known []string) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > queryMax {
		return protocol.Refuse(protocol.BadJSON, "The part of the address behind the question mark cannot be read. Nothing was recorded. Percent-encode its values.")
	}
	for name, list := range values {
		switch {
		case !slices.Contains(known, name):
			can := "It takes none."
			if len(known) > 0 {
				can = "It takes: " + strings.Join(known, ", ") + "."
			}
			return protocol.Refuse(protocol.UnknownField, "This address has a parameter that is not known here: "+strconv.Quote(clip(name))+". Nothing was recorded. "+can).
				With("field", clip(name))
		case len(list) > 1:
			return protocol.Refuse(protocol.BadJSON, "The address gives "+name+" twice. Nothing was recorded. Give it once.").With("field", name)
		case !utf8.ValidString(list[0]):
			return protocol.Refuse(protocol.BadJSON, "The value of "+name+" is not UTF-8. Nothing was recorded. Percent-encode it as UTF-8.").With("field", name)
		}
	}
	return nil
}

// clip bounds text that a message repeats, on a character's border.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	end := most
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "\uFFFD") + "…"
}

// parameters reads the values behind the question mark and keeps the first
// thing that is wrong.
type parameters struct {
	values url.Values
	err    error
}

func parametersOf(r *http.Request) *parameters { return &parameters{values: r.URL.Query()} }

func (p *parameters) wrong(name, rule string) {
	if p.err == nil {
		p.err = protocol.OutOfRange(name, clip(p.values.Get(name)), rule)
	}
}

func (p *parameters) required(name string) string {
	v := p.values.Get(name)
	if v == "" {
		p.wrong(name, "missing")
	}
	return v
}

// whole reads a whole number, or gives the standard where there is none.
func (p *parameters) whole(name string, standard, least, most int) int {
	if !p.values.Has(name) {
		return standard
	}
	n, err := strconv.Atoi(p.values.Get(name))
	if err != nil || n < least || n > most {
		p.wrong(name, "not a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
		return standard
	}
	return n
}

func (p *parameters) decimal(name, text string, least, most float64) float64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(f >= least && f <= most) || math.IsNaN(f) {
		p.wrong(name, "not a number from "+strconv.FormatFloat(least, 'f', -1, 64)+" to "+strconv.FormatFloat(most, 'f', -1, 64))
	}
	return f
}

func (p *parameters) date(name string) string {
	text := p.values.Get(name)
	if text == "" {
		return ""
	}
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		p.wrong(name, "not a date written YYYY-MM-DD")
	}
	return text
}

func (p *parameters) page() Page {
	return Page{Limit: p.whole("limit", 100, 1, listingMax), After: p.values.Get("after")}
}
