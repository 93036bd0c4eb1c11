package main

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"counterpart/protocol"
)

// invoices writes a made-up file of invoices and returns its path.
func invoices(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "invoices.csv")
	if err := generateInvoices(path, 1); err != nil {
		t.Fatal(err)
	}
	return path
}

// counted adds up the pieces and lines that went out after the first weeks,
// from the text of the file alone.
func counted(t *testing.T, path string) (lines int, pieces int64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		n, err := strconv.ParseInt(row[5], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 && row[1][:10] >= "2026-03-30" { // the day after four weeks from 2 March
			lines, pieces = lines+1, pieces+n
		}
	}
	return lines, pieces
}

// plain plays one item of one shop under a static rule the plain way: it looks
// back over the list of what happened instead of keeping books.
type plain struct {
	asked, accepted, dark, refused, empty, broken int
	pieces                                        protocol.Quantity // sold or picked
}

func (r *plain) play(s *scenario, shop, item int, k protocol.Quantity, onlyDark bool) {
	var shelf, known protocol.Quantity
	var open []protocol.Quantity
	isDark, week := false, 0
	promised := func() (sum protocol.Quantity) {
		for _, q := range open {
			sum += q
		}
		return sum
	}
	reconnect := func() {
		for _, q := range open {
			if shelf < q {
				r.broken++
				continue
			}
			shelf -= q
			r.pieces += q
		}
		open, isDark = nil, false
	}
	for _, step := range append(slices.Clone(s.steps), step{what: linked, shop: shop}) {
		switch {
		case step.what == linked && step.shop == shop && isDark:
			reconnect()
		case step.what == dark && step.shop == shop:
			isDark, known = true, shelf
		case step.what == filled:
			if week++; week >= warmWeeks {
				var demand protocol.Quantity
				for _, w := range s.wants {
					if w.shop == shop && w.item == item && w.at < step.at && w.at >= step.at-warmWeeks*openWeek {
						demand += w.quantity
					}
				}
				shelf = max(shelf, protocol.Quantity(math.Ceil(float64(demand)/2000*s.factor(shop, item, week)))*1000)
			}
		case step.what == wanted && s.wants[step.want].shop == shop && s.wants[step.want].item == item && week >= warmWeeks:
			q := s.wants[step.want].quantity
			if !s.online[step.want] {
				r.pieces += min(q, shelf)
				shelf -= min(q, shelf)
				continue
			}
			r.asked++
			book, hold := shelf, k
			if isDark {
				book = known
			} else if onlyDark {
				hold = 0
			}
			switch {
			case book-hold-promised() >= q && isDark:
				r.accepted, r.dark, open = r.accepted+1, r.dark+1, append(open, q)
			case book-hold-promised() >= q:
				r.accepted, shelf, r.pieces = r.accepted+1, shelf-q, r.pieces+q
			case shelf-promised() >= q:
				r.refused++
			default:
				r.empty++
			}
		}
	}
}

// TestStudyAccounts compares the study with the file's own text and with a
// plainer model of the same trade, for rules that need no record of demand.
func TestStudyAccounts(t *testing.T) {
	path := invoices(t)
	in := read(t, path, studyStores)
	tr := tradeOf(in, -1, 1)
	s := newScenario(tr, 3)
	lines, pieces := counted(t, path)
	for _, r := range rules() {
		if r.demand || (r.knob != 0 && r.knob != 3) || strings.HasPrefix(r.family, proportional) {
			continue
		}
		got := play(s, r)
		all := got.all()
		var want plain
		for shop := range tr.shops {
			for item := range tr.items {
				want.play(s, shop, item, protocol.Quantity(r.knob)*1000, strings.HasSuffix(r.family, darkOnly))
			}
		}
		had := plain{all.asked, all.accepted, all.acceptedDark, all.refused, all.empty, all.unfulfillable, got.sold + got.picked}
		if had != want {
			t.Errorf("%s %g comes to %+v, the plain way to %+v", r.family, r.knob, had, want)
		}
		if all.accepted == 0 || all.unfulfillable == 0 || all.refused == 0 || all.unfulfillable != all.unfulfillableDark {
			t.Errorf("%s %g: a trade that shows nothing: %+v", r.family, r.knob, all)
		}
		var online int
		var asked protocol.Quantity
		for i, w := range s.wants {
			if s.online[i] && w.at >= warmWeeks*openWeek {
				online, asked = online+1, asked+w.quantity
			}
		}
		if all.asked != online || all.accepted+all.refused+all.empty != online || online > lines*2/5 || online < lines/4 {
			t.Errorf("%s %g: of %d lines in the file, %d asked for online, %d answered", r.family, r.knob, lines, online, all.accepted+all.refused+all.empty)
		}
		if int64(asked+got.sold+got.missed) != pieces*1000 {
			t.Errorf("%s %g: %v pieces asked for online and %v by walk-in shoppers, of %d in the file", r.family, r.knob, asked, got.sold+got.missed, pieces)
		}
	}
}

// TestStudyOfOurs plays our rule on the made-up file: it has to lie between no
// buffer and refusing everything, and refuse less for a laxer target.
func TestStudyOfOurs(t *testing.T) {
	s := newScenario(tradeOf(read(t, invoices(t), studyStores), -1, 1), 3)
	var last lineCounts
	for _, r := range rules() {
		if r.family != ours || (r.knob != 1 && r.knob != 10 && r.knob != 50) {
			continue
		}
		all := play(s, r).all()
		if all.accepted+all.refused+all.empty != all.asked || (last.asked > 0 && (all.asked != last.asked || all.refused >= last.refused || all.acceptedDark <= last.acceptedDark)) {
			t.Errorf("a target of %g %% comes to %+v, a stricter one to %+v", r.knob, all, last)
		}
		last = all
	}
}

// TestDarkForAThird counts how long stores are dark, and in which stretches.
func TestDarkForAThird(t *testing.T) {
	s := newScenario(&trade{shops: 40, days: 700}, 1)
	since := map[int]time.Duration{}
	var total time.Duration
	for _, step := range s.steps {
		switch step.what {
		case dark:
			if at, isDark := since[step.shop]; isDark {
				t.Fatalf("shop %d goes dark twice, at %v and %v", step.shop, at, step.at)
			}
			since[step.shop] = step.at
		case linked:
			at, isDark := since[step.shop]
			if length := step.at - at; !isDark || length <= 0 || length > 3*openDay {
				t.Fatalf("shop %d comes back at %v, dark since %v", step.shop, step.at, at)
			}
			total += step.at - at
			delete(since, step.shop)
		}
	}
	if share := float64(total) / float64(40*700*openDay); share < 0.30 || share > 0.37 {
		t.Errorf("stores are dark for %.3f of the time", share)
	}
}

func TestOpenTime(t *testing.T) {
	for clock, want := range map[string]time.Duration{
		"06:20": openDay, "08:00": openDay, "08:30": openDay + 30*time.Minute, "19:59": 2*openDay - time.Minute, "20:00": 2*openDay - time.Second, "23:10": 2*openDay - time.Second,
	} {
		at, err := time.Parse("2006-01-02 15:04", "2026-03-02 "+clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := openTime(1, at); got != want {
			t.Errorf("%s of the second day is %v of opening time, not %v", clock, got, want)
		}
	}
}

// made is a point of a family with so many lines of a hundred thousand.
func made(family string, knob float64, unfulfillable, refused int) point {
	t := &tally{}
	t.classes[0] = lineCounts{asked: 200_000, accepted: 100_000, acceptedDark: 50_000, unfulfillable: unfulfillable, unfulfillableDark: unfulfillable, refused: 2 * refused}
	return point{rule{family: family, knob: knob}, t}
}

// TestJudge makes up curves that meet every bar, and then misses one at a time.
func TestJudge(t *testing.T) {
	curves := func() []point {
		return []point{
			made(noBuffer, 0, 2000, 0),
			made(static, 1, 1000, 20_000), made(static, 2, 200, 60_000),
			made(proportional, 1, 900, 10_000), made(proportional, 2, 400, 30_000),
			made(static+darkOnly, 1, 1000, 5000), made(static+darkOnly, 2, 300, 15_000),
			made(ours, 1, 600, 7000), made(ours, 2, 400, 9000),
		}
	}
	s := &study{name: "made up", points: curves()}
	if got, reached := s.curve(static).at(judgedShare); !reached || math.Abs(got-0.45) > 1e-9 {
		t.Errorf("halfway between 20 %% and 60 %% is %v, %v", got, reached)
	}
	if _, reached := s.curve(static).at(0.001); reached {
		t.Error("a share below all points is said to be reached")
	}
	if err := s.judge(); err != nil {
		t.Errorf("all bars are met: %v", err)
	}
	for name, change := range map[string]func([]point){
		"static":           func(p []point) { p[1], p[2] = made(static, 1, 1000, 10_000), made(static, 2, 300, 20_000) },
		"proportional":     func(p []point) { p[3], p[4] = made(proportional, 1, 900, 5000), made(proportional, 2, 400, 15_000) },
		"only while dark":  func(p []point) { p[5], p[6] = made(static+darkOnly, 1, 600, 5000), made(static+darkOnly, 2, 300, 8000) },
		"target of 0.50 %": func(p []point) { p[8] = made(ours, 0.5, 400, 9000) },
		"no target":        func(p []point) { p[7], p[8] = made(ours, 1, 600, 7000), made(ours, 2, 510, 9000) },
	} {
		s.points = curves()
		change(s.points)
		if err := s.judge(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: judged as %v", name, err)
		}
	}
}

// TestOrdersCommand runs the study as the command does, twice: whatever ends
// first, the tables are the same.
func TestOrdersCommand(t *testing.T) {
	var first, second, complaints strings.Builder
	for _, out := range []*strings.Builder{&first, &second} {
		if status := command(t.Context(), []string{"-orders", "-rules", "-seeds", "2"}, out, &complaints); status != 0 {
			t.Fatalf("exit %d: %s", status, complaints.String())
		}
	}
	if first.String() != second.String() {
		t.Errorf("two runs differ:\n%s\n%s", first.String(), second.String())
	}
	for _, part := range []string{"wholesale: 30 items", "at 0.50 % unfulfillable", "÷ target", "lines a week and store"} {
		if !strings.Contains(first.String(), part) {
			t.Errorf("no %q in\n%s", part, first.String())
		}
	}
	if status := command(t.Context(), []string{"-orders", "-seeds", "0"}, &second, &complaints); status != 2 {
		t.Errorf("no seeds at all: exit %d", status)
	}
}
