package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"
	"text/tabwriter"

	"golang.org/x/sync/errgroup"
)

// What the study asks of our rule.
const (
	judgedShare               = 0.005 // the unfulfillable share at which rules are compared
	ofStaticMax               = 0.3
	ofProportionalMax         = 0.5
	ofTargetMax               = 1.5
	linesMin                  = 20
	studyStores               = 4
	partPPM           float64 = 1_000_000
)

// A point is what a rule came to over all seeds.
type point struct {
	rule  rule
	tally *tally
}

// unfulfillable is the share of accepted lines that staff could not pick.
func (p point) unfulfillable() float64 {
	all := p.tally.all()
	return share(all.unfulfillable, all.accepted)
}

// refused is the share of demand that was refused though the shelf had it.
func (p point) refused() float64 {
	all := p.tally.all()
	return share(all.refused, all.asked)
}

// whileDark is the unfulfillable share among what was accepted while dark.
func (p point) whileDark() float64 {
	all := p.tally.all()
	return share(all.unfulfillableDark, all.acceptedDark)
}

func share(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

// A curve is the points of one family, in the order of its knob.
type curve []point

// at is the share of demand that the family refuses at an unfulfillable share,
// between the two points around it. Where even its most careful point exceeds
// that share, it is what that point refuses, and not reached.
func (c curve) at(unfulfillable float64) (refused float64, reached bool) {
	refused = math.Inf(1)
	for i, p := range c {
		if p.unfulfillable() <= unfulfillable {
			refused = min(refused, p.refused())
		}
		if i == 0 {
			continue
		}
		from, to := c[i-1], p
		if (from.unfulfillable() > unfulfillable) != (to.unfulfillable() > unfulfillable) {
			part := (unfulfillable - from.unfulfillable()) / (to.unfulfillable() - from.unfulfillable())
			refused = min(refused, from.refused()+part*(to.refused()-from.refused()))
		}
	}
	if math.IsInf(refused, 1) && len(c) > 0 {
		last := slices.MinFunc(c, func(a, b point) int { return cmp.Compare(a.unfulfillable(), b.unfulfillable()) })
		return last.refused(), false
	}
	return refused, len(c) > 0
}

// nearest is the point whose unfulfillable share is nearest to one.
func (c curve) nearest(unfulfillable float64) point {
	return slices.MinFunc(c, func(a, b point) int {
		return cmp.Compare(math.Abs(a.unfulfillable()-unfulfillable), math.Abs(b.unfulfillable()-unfulfillable))
	})
}

// A study is what all rules came to on one trade.
type study struct {
	name   string
	seeds  int
	trade  *trade
	points []point
}

// runStudy plays a trade under every rule and with every seed.
func runStudy(ctx context.Context, name string, t *trade, seeds int) (*study, error) {
	s := &study{name: name, seeds: seeds, trade: t}
	for _, r := range rules() {
		s.points = append(s.points, point{r, &tally{}})
	}
	var sums sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for seed := range seeds {
		group.Go(func() error {
			scenario := newScenario(t, uint64(seed)+1)
			for _, p := range s.points {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				one := play(scenario, p.rule)
				sums.Lock()
				p.tally.add(one)
				sums.Unlock()
			}
			return nil
		})
	}
	return s, group.Wait()
}

// curve is the points of a family.
func (s *study) curve(family string) (c curve) {
	for _, p := range s.points {
		if p.rule.family == family {
			c = append(c, p)
		}
	}
	return c
}

// families in the order in which they are shown.
func (s *study) families() (names []string) {
	for _, p := range s.points {
		if !slices.Contains(names, p.rule.family) {
			names = append(names, p.rule.family)
		}
	}
	return names
}

// bestDark is the family that does best by holding back only while dark.
func (s *study) bestDark() (family string, refused float64) {
	refused = math.Inf(1)
	for _, f := range []string{static, proportional} {
		f += darkOnly
		if r, reached := s.curve(f).at(judgedShare); reached && r < refused {
			family, refused = f, r
		}
	}
	return family, refused
}

// judge says which bars our rule misses.
func (s *study) judge() error {
	own, reached := s.curve(ours).at(judgedShare)
	if !reached {
		return fmt.Errorf("%s: no target brings the unfulfillable share down to %s", s.name, percent(judgedShare))
	}
	var misses []error
	miss := func(format string, a ...any) { misses = append(misses, fmt.Errorf(s.name+": "+format, a...)) }
	for family, most := range map[string]float64{static: ofStaticMax, proportional: ofProportionalMax} {
		// A family that does not get there refuses at least as much as its last point.
		if other, _ := s.curve(family).at(judgedShare); own > most*other {
			miss("ours refuses %s, which is %.2f of what %s refuses, and may be %.1f", percent(own), own/other, family, most)
		}
	}
	if family, other := s.bestDark(); own >= other {
		miss("ours refuses %s, %s only %s", percent(own), family, percent(other))
	}
	for _, p := range s.curve(ours) {
		if target := p.rule.knob / 100; p.rule.calibrated() && p.whileDark() > ofTargetMax*target {
			miss("with a target of %s, %s of what was accepted while dark was unfulfillable", percent(target), percent(p.whileDark()))
		}
	}
	return errors.Join(misses...)
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// shown are the knobs of long families that are printed.
var shown = []float64{0, 1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50}

// print writes the tables of a study.
func (s *study) print(out io.Writer) error {
	first := s.points[0].tally.all()
	fmt.Fprintf(out, "\n%s: %d items, %d lines, %d days, %d stores, %d seeds; %d lines asked for online, walk-in shoppers missed %s of theirs\n",
		s.name, len(s.trade.items), len(s.trade.wants), s.trade.days, s.trade.shops, s.seeds, first.asked,
		percent(float64(s.points[0].tally.missed)/max(1, float64(s.points[0].tally.missed+s.points[0].tally.sold))))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "rule\tknob\tunfulfillable\trefused, on shelf\trefused, not there\twhile dark: unfulfillable\t\n")
	for _, p := range s.points {
		if len(s.curve(p.rule.family)) > 40 && !slices.Contains(shown, p.rule.knob) {
			continue
		}
		all := p.tally.all()
		fmt.Fprintf(w, "%s\t%g\t%s\t%s\t%s\t%s\t\n", p.rule.family, p.rule.knob, percent(p.unfulfillable()), percent(p.refused()),
			percent(share(all.empty, all.asked)), percent(p.whileDark()))
	}
	fmt.Fprintf(w, "\t\t\t\t\t\t\nat %s unfulfillable\t\t\trefused\tours ÷ this\t\t\n", percent(judgedShare))
	own, _ := s.curve(ours).at(judgedShare)
	for _, family := range s.families()[1:] {
		refused, reached := s.curve(family).at(judgedShare)
		mark := ""
		if !reached {
			mark = "never; at least "
		}
		fmt.Fprintf(w, "%s\t\t\t%s%s\t%.2f\t\t\n", family, mark, percent(refused), own/refused)
	}
	fmt.Fprint(w, "\t\t\t\t\t\t\ntarget\t\taccepted while dark\tunfulfillable\t÷ target\t\t\n")
	for _, p := range s.curve(ours) {
		if target := p.rule.knob / 100; p.rule.calibrated() {
			fmt.Fprintf(w, "%s\t\t%d\t%s\t%.2f\t\t\n", percent(target), p.tally.all().acceptedDark, percent(p.whileDark()), p.whileDark()/target)
		}
	}
	s.printClasses(w)
	return w.Flush()
}

// printClasses shows, by how fast items sell, where ours loses: at the points of
// both that come nearest to the judged share.
func (s *study) printClasses(w io.Writer) {
	family, _ := s.bestDark()
	if family == "" {
		family = static + darkOnly
	}
	own, other := s.curve(ours).nearest(judgedShare), s.curve(family).nearest(judgedShare)
	fmt.Fprintf(w, "\t\t\t\t\t\t\nlines a week and store\tasked\tours %g: unfulfillable\trefused\t%s %g: unfulfillable\trefused\t\n", own.rule.knob, other.rule.family, other.rule.knob)
	for i, speed := range speeds {
		a, b := own.tally.classes[i], other.tally.classes[i]
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t\n", speed.name, a.asked,
			percent(share(a.unfulfillable, a.accepted)), percent(share(a.refused, a.asked)),
			percent(share(b.unfulfillable, b.accepted)), percent(share(b.refused, b.asked)))
	}
}

// studyFile compares the rules on a file. A wholesaler's file is judged, each
// half of its items by itself; any other is only reported on.
func studyFile(ctx context.Context, o options, path string, judged bool, out io.Writer) error {
	in, err := readInput(path, studyStores)
	if err != nil {
		return err
	}
	parts, least := []int{-1}, 1
	if judged = judged && in.format == "wholesale"; judged {
		parts, least = []int{0, 1}, linesMin
	}
	var misses []error
	for _, part := range parts {
		name := in.format
		if part >= 0 {
			name = fmt.Sprintf("%s, half %d of the items", in.format, part+1)
		}
		fmt.Fprintf(out, "playing %s, %d times under each of %d rules\n", name, o.seeds, len(rules()))
		s, err := runStudy(ctx, name, tradeOf(in, part, least), o.seeds)
		if err != nil {
			return err
		}
		if err := s.print(out); err != nil {
			return err
		}
		if judged {
			misses = append(misses, s.judge())
		}
	}
	return errors.Join(misses...)
}
