package web

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"counterpart/protocol"
)

// rowsMax bounds the table; the worst come first, so what is cut is well.
const rowsMax = 1000

// fleetView is the part of the page that moves.
type fleetView struct {
	Problem string
	Figures []figure
	Rows    []storeRow
	Hidden  int
}

type figure struct{ Name, Value, Look string }

// storeRow is one line of the table.
type storeRow struct {
	ID, Name, City string
	Look, State    string
	Seen           moment
	Waiting        string
	Lag            string
	rank           int
	since          time.Time // last seen, of a store that is away
	waiting        uint64
}

// moment is a time for people, and exactly for whoever hovers over it.
type moment struct{ Text, Exact, Machine string }

// looks say how a store stands. Offline is neutral: shops close, and nothing is
// lost while they are away. Only what waits for a person stands out.
var looks = map[string]struct {
	rank        int
	look, state string
}{
	"fenced":  {0, "trouble", "Needs action"},
	"offline": {1, "away", "Offline"},
	"never":   {3, "never", "Never seen"},
	"online":  {4, "ok", "Online"},
}

// The rank of a store that is online but still sending.
const rankSending = 2

func (s *site) fleet(ctx context.Context) fleetView {
	var view fleetView
	now := s.deps.Now()
	counts := map[string]int{}
	var waiting uint64
	err := s.deps.Fleet(ctx, func(st Store) {
		row := newRow(st, now)
		counts[row.Look]++
		waiting += st.Waiting
		view.Rows = append(view.Rows, row)
	})
	if err != nil {
		if ctx.Err() == nil {
			s.deps.Log.ErrorContext(ctx, "fleet not read", "error", err)
		}
		view.Problem = "The stores cannot be shown now. They sell on, and nothing is lost. Load the page again."
	}
	slices.SortStableFunc(view.Rows, func(a, b storeRow) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.waiting, a.waiting), a.since.Compare(b.since), cmp.Compare(a.ID, b.ID))
	})
	view.Figures = []figure{
		{"Stores", grouped(uint64(len(view.Rows))), ""},
		{"Online", grouped(uint64(counts["ok"] + counts["sending"])), "ok"},
		{"Offline", grouped(uint64(counts["away"])), "away"},
		{"Never seen", grouped(uint64(counts["never"])), "never"},
		{"Need action", grouped(uint64(counts["trouble"])), "trouble"},
		{"Waiting to be sent", grouped(waiting), "sending"},
	}
	view.Figures = append(view.Figures, s.exposure(ctx)...)
	if len(view.Rows) > rowsMax {
		view.Hidden = len(view.Rows) - rowsMax
		view.Rows = view.Rows[:rowsMax]
	}
	return view
}

// exposure are the figures of points that are spent at risk, none in a chain that
// never lets any be.
func (s *site) exposure(ctx context.Context) []figure {
	if s.deps.Exposure == nil {
		return nil
	}
	bound, atRisk, err := s.deps.Exposure(ctx)
	if err != nil && ctx.Err() == nil {
		s.deps.Log.ErrorContext(ctx, "points at risk not read", "error", err)
	}
	if err != nil || bound <= 0 && atRisk <= 0 {
		return nil
	}
	return []figure{{"Points at risk, at most", grouped(uint64(bound)), ""}, {"Points at risk, not settled", grouped(uint64(atRisk)), ""}}
}

func newRow(st Store, now time.Time) storeRow {
	look, ok := looks[st.Link]
	if !ok {
		look = looks["offline"]
	}
	row := storeRow{
		ID: st.ID, Name: inert(st.Name), City: inert(st.City), Look: look.look, State: look.state, rank: look.rank,
		Waiting: grouped(st.Waiting), waiting: st.Waiting, Lag: "Not known",
	}
	if st.Link == "online" && st.Waiting > 0 {
		row.Look, row.State, row.rank = "sending", "Sending", rankSending
	}
	seen, _ := time.Parse(time.RFC3339, st.LastSeen)
	row.Seen = momentOf(seen, now)
	if st.Link != "online" {
		// Stores that are here keep their places, however often they are heard of.
		row.since = seen
	}
	if asOf, err := time.Parse(time.RFC3339, st.AsOf); err == nil {
		row.Lag = "None"
		if st.Freshness != "live" {
			row.Lag = span(now.Sub(asOf))
		}
	}
	return row
}

func momentOf(t, now time.Time) moment {
	if t.IsZero() {
		return moment{Text: "Never"}
	}
	m := moment{Exact: t.UTC().Format("2006-01-02 15:04:05") + " UTC", Machine: t.UTC().Format(time.RFC3339)}
	if ago := now.Sub(t); ago < time.Minute {
		m.Text = "Just now"
	} else {
		m.Text = span(ago) + " ago"
	}
	return m
}

// span is a length of time in its largest fitting unit.
func span(d time.Duration) string {
	count := func(n int, unit string) string {
		if n != 1 {
			unit += "s"
		}
		return strconv.Itoa(n) + " " + unit
	}
	switch {
	case d < time.Minute:
		return count(max(1, int(d/time.Second)), "second")
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}

// grouped writes a number in groups of three digits.
func grouped(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// minorDigits are the currencies whose minor unit is not a hundredth (ISO 4217).
var minorDigits = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0,
	"VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
	"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3, "CLF": 4, "UYW": 4,
}

// price writes an amount, with the currency before it.
func price(m protocol.Money, currency string) string {
	digits, ok := minorDigits[currency]
	if !ok {
		digits = 2
	}
	unit := uint64(1)
	for range digits {
		unit *= 10
	}
	sign, n := "", uint64(m)
	if m < 0 {
		sign, n = "−", uint64(-m)
	}
	text := currency + " " + sign + grouped(n/unit)
	if digits > 0 {
		text += "." + strconv.FormatUint(unit+n%unit, 10)[1:]
	}
	return text
}
