package main

import (
	"fmt"
	"html"
	"strings"
)

// The chart's measures, in pixels.
const (
	chartWidth  = 900
	nameWidth   = 380
	figureWidth = 170
	rowHeight   = 22
	headHeight  = 64
	groupHeight = 30
	barHeight   = 12
	usedMax     = 2.0 // of a bar; what is beyond is cut off
)

// used is how much of what its bar allows a line takes: 1 is the bar itself,
// more misses it. Lines without a bar have none.
func (s *shown) used() (float64, bool) {
	switch {
	case s.Met == nil || s.limit == 0:
		return 0, false
	case s.atLeast:
		return s.limit / max(s.held, 1e-9), true
	default:
		return s.held / s.limit, true
	}
}

// chart is the report as a picture: each line that has a bar, as the part that
// it takes of what the bar allows.
func (r *report) chart() []byte {
	var body strings.Builder
	y, part := headHeight, ""
	scale := float64(chartWidth-nameWidth-figureWidth) / usedMax
	for i := range r.lines {
		l := &r.lines[i]
		used, ok := l.used()
		if !ok {
			continue
		}
		if l.Part != part {
			part = l.Part
			fmt.Fprintf(&body, `<text x="12" y="%d" class="group">%s</text>`+"\n", y+20, html.EscapeString(titles[part]))
			y += groupHeight
		}
		class := map[bool]string{true: "met", false: "missed"}[*l.Met]
		fmt.Fprintf(&body, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", nameWidth-10, y+15, html.EscapeString(strings.TrimSpace(l.whole)))
		fmt.Fprintf(&body, `<rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/>`+"\n", nameWidth, y+5, max(1, min(used, usedMax)*scale), barHeight, class)
		fmt.Fprintf(&body, `<text x="%d" y="%d">%s of %s</text>`+"\n", chartWidth-figureWidth+8, y+15, figure(l.held), html.EscapeString(strings.TrimLeft(l.Bar, "<>= ")))
		y += rowHeight
	}
	bar := float64(nameWidth) + scale
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="Measurements and their bars">`+"\n", chartWidth, y+16, chartWidth, y+16)
	out.WriteString(`<style>text{font:13px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}.group{font-weight:bold}.met{fill:#2a7f62}.missed{fill:#b3392f}.bar{stroke:#222;stroke-dasharray:3 3}</style>` + "\n")
	fmt.Fprintf(&out, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, y+16)
	out.WriteString(`<text x="12" y="26" class="title">What each measurement takes of what its bar allows</text>` + "\n")
	fmt.Fprintf(&out, `<text x="12" y="46">%s</text>`+"\n", html.EscapeString(strings.Join(r.facts(), ", ")))
	fmt.Fprintf(&out, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" class="bar"/><text x="%.1f" y="%d" text-anchor="middle">the bar</text>`+"\n", bar, bar, headHeight-6, y, bar, headHeight-10)
	out.WriteString(body.String())
	out.WriteString("</svg>\n")
	return []byte(out.String())
}

// facts are those about the machine that fit on one line.
func (r *report) facts() []string {
	var list []string
	for _, name := range []string{"time", "commit", "machine", "go"} {
		if fact := r.machine[name]; fact != "" {
			list = append(list, fact)
		}
	}
	return list
}
