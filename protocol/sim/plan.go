package sim

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"
)

// Plan is everything that a run depends on besides the code: the seed, how much
// happens, and which faults there are. It is kept beside a seed that failed, so
// that the seed still meets the same faults when Draw has changed.
type Plan struct {
	Seed     uint64 `json:"seed"`
	Machines int    `json:"machines"` // two in the first store, the others by turns
	Hours    int    `json:"hours"`    // before the quiet end
	Acts     int    `json:"acts"`     // of staff, on all machines together
	Burst    int    `json:"burst"`    // acts that follow each other at once
	// PaceMs is how long people mostly pause at most between the acts of a burst;
	// 0 is 30.
	PaceMs int `json:"pace_ms,omitempty"`
	// LingerMs is how long idle machines are watched before the time in which
	// nothing can happen is skipped.
	LingerMs int  `json:"linger_ms"`
	Verify   bool `json:"verify,omitempty"` // replay every log at the end
	Orders   int  `json:"orders,omitempty"` // that the online shop places
	// Holds are carts for which the shop has goods held, PickupBy how often time
	// passes for shoppers who say until when they come, Webhooks whether somebody
	// is told what happens. Each needs Orders.
	Holds    int  `json:"holds,omitempty"`
	PickupBy int  `json:"pickup_by,omitempty"`
	Webhooks bool `json:"webhooks,omitempty"`
	// Substitutes lets a third of them allow substitutes.
	Substitutes bool `json:"substitutes,omitempty"`
	// Members are people who become members, Programmes how often the rules of
	// points change, Erasures how many are forgotten.
	Members    int `json:"members,omitempty"`
	Programmes int `json:"programmes,omitempty"`
	Erasures   int `json:"erasures,omitempty"`

	Line     Line     `json:"line"`
	Cloud    Cloud    `json:"cloud"`
	Machine  Machine  `json:"machine"`
	Business Business `json:"business"`
	Disaster Disaster `json:"disaster"`
}

// Line is what the network and the broker do. The first group are chances of a
// message, the second mean hours between events of a kind; 0 is never.
type Line struct {
	Drop      float64 `json:"drop,omitempty"`
	Duplicate float64 `json:"duplicate,omitempty"`
	Reorder   float64 `json:"reorder,omitempty"`
	Damage    float64 `json:"damage,omitempty"` // a batch's frame changes on the way
	Replay    float64 `json:"replay,omitempty"` // it comes again up to two hours later
	Ghost     float64 `json:"ghost,omitempty"`  // it arrives although its connection is gone
	Garbage   float64 `json:"garbage,omitempty"`

	CutEvery    float64 `json:"cut_every_h,omitempty"`
	CutForMin   int     `json:"cut_for_min,omitempty"`
	OneWayEvery float64 `json:"one_way_every_h,omitempty"`
	OutageDays  int     `json:"outage_days,omitempty"` // one long outage
	HerdEvery   float64 `json:"herd_every_h,omitempty"`
	WipeEvery   float64 `json:"wipe_every_h,omitempty"` // the broker forgets everything
	TakeEvery   float64 `json:"take_every_h,omitempty"` // another connection takes the client's place
	// TakeAtWork is the chance that this happens early in a burst of work, with
	// messages on their way.
	TakeAtWork float64 `json:"take_at_work,omitempty"`
	// Late is the chance that the broker keeps a message for a moment, out of
	// order.
	Late float64 `json:"late,omitempty"`
}

// Cloud is what happens to the hub.
type Cloud struct {
	CommitCrash float64 `json:"commit_crash,omitempty"` // chance of a commit
	CrashEvery  float64 `json:"crash_every_h,omitempty"`
	DownForMin  int     `json:"down_for_min,omitempty"`
	Full        float64 `json:"full,omitempty"`           // chance that it begins with a burst of work
	Outside     bool    `json:"outside_broker,omitempty"` // the broker outlives the hub
	Clock       bool    `json:"clock,omitempty"`          // off by years, jumping, or frozen
}

// Machine is what happens to store machines.
type Machine struct {
	CommitCrash float64 `json:"commit_crash,omitempty"`
	CommitFault float64 `json:"commit_fault,omitempty"` // the commit fails, kept or not
	CrashEvery  float64 `json:"crash_every_h,omitempty"`
	Full        float64 `json:"full,omitempty"`        // chance that it begins with a burst of work
	FullAtEnd   bool    `json:"full_at_end,omitempty"` // while the last that others did comes down
	Clock       bool    `json:"clock,omitempty"`
	Trim        bool    `json:"trim,omitempty"`
}

// Business is what staff and operators do besides selling.
type Business struct {
	Poison    bool `json:"poison,omitempty"`    // events that nobody can read
	Unknown   bool `json:"unknown,omitempty"`   // events of a later version
	Oversized bool `json:"oversized,omitempty"` // near and beyond the largest event
	Counts    bool `json:"counts,omitempty"`
	Imports   int  `json:"imports,omitempty"`
	Loads     int  `json:"loads,omitempty"`
	Primaries int  `json:"primaries,omitempty"`
}

// Disaster is what happens to disks. Each is how often.
type Disaster struct {
	Restore int `json:"restore,omitempty"` // a copy is put back by the command
	Witness int `json:"witness,omitempty"` // a copy is put back, beside a newer witness
	Silent  int `json:"silent,omitempty"`  // a copy is put back, and nothing tells
	Cloned  int `json:"cloned,omitempty"`  // the disk goes on in a second computer as well
	Twin    int `json:"twin,omitempty"`    // like it, and nothing tells
	Replace int `json:"replace,omitempty"` // the disk dies, another machine stands in
	Backup  int `json:"backup,omitempty"`  // a backup of the hub is restored by the command
	Older   int `json:"older,omitempty"`   // a backup of the hub is put in place, and nothing tells
	Recent  int `json:"recent,omitempty"`  // like Older, twice, and the backup lacks no more than what an operator did last
	Gap     int `json:"gap,omitempty"`     // like Backup, where machines have deleted what it lacks, and that is accepted
}

// Draw makes the plan of a seed: at least three machines in two stores, three
// days, 500 acts, and a random subset of the faults.
func Draw(seed uint64) Plan {
	d := draw{rand.New(rand.NewPCG(seed, 0x706c616e))}
	p := Plan{
		Seed: seed, Machines: 3, Hours: 72 + d.IntN(25), Acts: actsMin + d.IntN(20),
		Burst: []int{6, 12, 24, 48}[d.IntN(4)], PaceMs: []int{1, 3, 10, 30}[d.IntN(4)], LingerMs: d.linger(), Verify: d.IntN(4) == 0,
	}
	if d.IntN(4) == 0 {
		p.Machines++
	}
	p.Line = d.line()
	p.Hours += p.Line.OutageDays * 24
	p.Cloud = Cloud{
		CommitCrash: d.chance(0.01), CrashEvery: d.every(6, 40), DownForMin: d.upTo(240), Full: d.chance(0.1),
		Outside: d.IntN(2) == 0, Clock: d.on(),
	}
	p.Machine = Machine{
		CommitCrash: d.chance(0.02), CommitFault: d.chance(0.02), CrashEvery: d.every(4, 40), Full: d.chance(0.1),
		Clock: d.on(), Trim: d.on(),
	}
	p.Business = Business{
		Poison: d.on(), Unknown: d.on(), Oversized: d.IntN(60) == 0, Counts: d.IntN(2) == 0,
		Imports: d.upTo(4), Loads: d.upTo(3), Primaries: d.upTo(4),
	}
	if d.on() {
		p.Disaster = Disaster{Restore: d.upTo(2), Witness: d.upTo(2), Silent: d.upTo(2), Cloned: d.upTo(1), Twin: d.upTo(1), Replace: d.upTo(2)}
	}
	if d.on() {
		// Agents must still hold what the backup lacks.
		p.Disaster.Backup, p.Disaster.Older, p.Machine.Trim = d.upTo(2), d.upTo(2), false
	}
	if p.Disaster == (Disaster{}) && d.IntN(6) == 0 {
		// What a gap has lost is known by its moves alone, so that nothing may
		// depend on who had seen what.
		p.Disaster.Gap, p.Machine.Trim, p.Business.Counts, p.Business.Loads = 1, true, false, 0
	}
	p.Line.TakeAtWork, p.Line.Late = d.chance(0.5), d.chance(0.3)
	if p.Line.Late > 0 && p.Line.Ghost == 0 && d.on() {
		p.Line.Ghost = 0.5
	}
	p.addLater(draw{rand.New(rand.NewPCG(seed, 0x6f72646572))})
	p.addToOrders(draw{rand.New(rand.NewPCG(seed, 0x686f6c6473))})
	p.addMembers(draw{rand.New(rand.NewPCG(seed, 0x6d656d62657273))})
	return p
}

// addMembers draws whether there are members. What a gap has lost is known by its
// moves alone, and not by the points.
func (p *Plan) addMembers(d draw) {
	if p.Disaster.Gap > 0 || d.IntN(7) > 1 {
		return
	}
	p.Members, p.Programmes, p.Erasures = 3+d.IntN(6), d.IntN(3), d.IntN(3)
}

// addToOrders draws what orders did not have at first.
func (p *Plan) addToOrders(d draw) {
	if p.Orders == 0 {
		return
	}
	if d.IntN(2) == 0 {
		p.Holds = 4 + d.IntN(10)
	}
	if d.IntN(2) == 0 {
		p.PickupBy = 1 + d.IntN(4)
	}
	p.Webhooks = d.on()
}

// addLater draws what plans did not have at first, so that what was drawn before
// stays as it was.
func (p *Plan) addLater(d draw) {
	if p.Disaster.Gap == 0 && d.IntN(2) == 0 {
		p.Orders, p.Substitutes = 5+d.IntN(11), true
	}
	p.Machine.FullAtEnd = p.Machine.Full > 0 && d.IntN(2) == 0
	if p.Disaster.Backup+p.Disaster.Older > 0 {
		p.Disaster.Recent = d.upTo(2)
	}
}

// actsMin is how many acts a drawn plan has at least. Some of them find nothing
// to do; at least 500 become events.
const actsMin = 510

// linger is mostly too short for a beat, so that most of a run is work.
func (d draw) linger() int {
	return []int{200, 200, 200, 200, 500, 500, 500, 500, 1_000, 1_000, 1_000, 2_000, 2_000, 3_000, 4_000, 12_000}[d.IntN(16)]
}

func (d draw) line() Line {
	l := Line{
		Drop: d.chance(0.3), Duplicate: d.chance(0.2), Reorder: d.chance(0.3), Damage: d.chance(0.1), Replay: d.chance(0.02),
		Ghost: d.chance(0.8), Garbage: d.chance(0.05),
		CutEvery: d.every(3, 30), CutForMin: 1 << d.IntN(11), OneWayEvery: d.every(10, 60), HerdEvery: d.every(12, 60),
		WipeEvery: d.every(12, 60), TakeEvery: d.every(6, 60),
	}
	if d.IntN(8) == 0 {
		l.OutageDays = 1 + d.IntN(10)
	}
	return l
}

// draw draws which faults a run has. Each is left out more often than not, so
// that runs with few faults together go deep where runs with many cannot.
type draw struct{ *rand.Rand }

func (d draw) on() bool { return d.IntN(3) == 0 }

func (d draw) chance(most float64) float64 {
	if !d.on() {
		return 0
	}
	return float64(1+d.IntN(1000)) / 1000 * most
}

func (d draw) every(least, most int) float64 {
	if !d.on() {
		return 0
	}
	return float64(least + d.IntN(most-least))
}

func (d draw) upTo(most int) int {
	if !d.on() {
		return 0
	}
	return 1 + d.IntN(most)
}

// pace is how long people mostly pause at most.
func (p Plan) pace() time.Duration { return time.Duration(cmp.Or(p.PaceMs, 30)) * time.Millisecond }

// hours is a number of hours as a length of time.
func hours(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }

// ReadPlans reads the plans of runs that failed once, one on each line, each
// followed by a blank, a # and what it found. Lines that begin with # say
// nothing.
func ReadPlans(r io.Reader) ([]Plan, error) {
	var plans []Plan
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), " #")
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		var p Plan
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&p); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		plans = append(plans, p)
	}
	return plans, lines.Err()
}
