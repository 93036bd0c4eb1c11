package web

import (
	"strconv"
	"time"
)

// chip is what the page says about the way to the hub, in a few words. Look
// names its colour and icon, which only repeat the words.
type chip struct {
	Look  string // ok, sending, away, trouble or stopped
	Text  string
	Count string // changes with every sale, so it is not announced
}

// notice is one more thing that staff should know.
type notice struct {
	Look string // trouble or stopped
	Text string
	// Blocks says that work cannot go on.
	Blocks bool
}

// The words of HTTP.md for the state of the link.
const (
	linkOnline        = "online"
	linkConnecting    = "connecting"
	linkOffline       = "offline"
	linkFenced        = "fenced"
	linkUnprovisioned = "unprovisioned"
)

// clockOffMax is how wrong the machine's clock may be before staff hear of it.
const clockOffMax = 2 * time.Minute

// causes say what keeps the agent from the hub. What is wrong here (no
// internet) and what is wrong there (the hub has trouble) send staff to
// different people, so the two are never mixed up.
var causes = map[string]struct{ lead, look, detail string }{
	"no_route": {"Offline", "away", "No internet: this machine reaches no network. Check the cable or the router."},
	"dns":      {"Offline", "away", "No internet: the hub’s address could not be looked up. Check the router."},
	"refused":  {"Offline", "away", "The hub does not take calls at the moment. The agent keeps trying."},
	"timeout":  {"Offline", "away", "The hub does not answer. The internet or the hub may be down. The agent keeps trying."},
	"hub_error": {
		"Server trouble", "trouble",
		"The internet works, but the hub answers with an error. Whoever runs it has to look. The agent keeps trying.",
	},
	"tls": {
		"Server trouble", "trouble",
		"The hub was reached, but the secure connection to it failed. Check this machine’s date and time, then call support.",
	},
	"auth":          {"Refused by the hub", "trouble", "The hub does not accept this machine’s sign-in. Call support."},
	"version":       {"Refused by the hub", "trouble", "This machine’s program and the hub’s do not fit together. It needs an update: call support."},
	"unknown_store": {"Refused by the hub", "trouble", "The hub does not know this store. Call support."},
	"duplicate_identity": {
		"Refused by the hub", "trouble",
		"Another machine uses this machine’s name. Call support before either is switched off.",
	},
}

// describeLink finds the chip and the sentence below it.
func describeLink(s Status) (c chip, detail string) {
	cause, known := causes[s.Cause]
	goOn := ": sales continue."
	if s.Disk == "full" {
		goOn = "."
	}
	c.Count = waiting(s.Pending)
	switch {
	case s.Link == linkOnline && s.Pending > 0:
		return chip{"sending", "Sending", strconv.FormatUint(s.Pending, 10) + "…"},
			"The hub has confirmed everything before. The rest is on its way and safe on this machine."
	case s.Link == linkOnline && s.DeadLetters > 0:
		return chip{"trouble", "Not sent:", attention(s.DeadLetters)}, "The hub has confirmed everything else. Call support."
	case s.Link == linkOnline:
		return chip{"ok", "Online", ""}, "The hub has confirmed everything that was sold here."
	case s.Link == linkUnprovisioned:
		c.Look, c.Text = "stopped", "Not ready to sell."
		detail = "The store’s items, prices and taxes are still being loaded from the hub."
		if known {
			detail += " " + cause.detail
		}
		return c, detail
	case s.Link == linkConnecting:
		c.Look, c.Text = "away", "Connecting"+goOn
		detail = "The agent is calling the hub."
	case s.Link == linkFenced:
		c.Look, c.Text = "trouble", "Stopped by the hub"+goOn
		detail = "The hub takes nothing from this machine until someone decides. Call support."
	default:
		c.Look, c.Text = "away", "Offline"+goOn
		detail = "The agent keeps trying."
		if known {
			c.Look, c.Text = cause.look, cause.lead+goOn
		}
	}
	if known {
		detail = cause.detail
	}
	if s.Pending > 0 {
		detail += " What was sold is safe on this machine and is sent when the connection is back."
	}
	return c, detail
}

func waiting(pending uint64) string {
	if pending == 0 {
		return "Nothing waiting to send"
	}
	return strconv.FormatUint(pending, 10) + " waiting to send"
}

func attention(n uint64) string {
	if n == 1 {
		return "1 needs attention"
	}
	return strconv.FormatUint(n, 10) + " need attention"
}

// describeNotices lists what needs a person.
func describeNotices(s Status) []notice {
	var list []notice
	switch s.Disk {
	case "full":
		list = append(list, notice{"stopped", "Disk full: no sale can be recorded. What was confirmed is safe. Free space on this machine, then try again.", true})
	case "reserve":
		list = append(list, notice{"trouble", "Disk almost full: sales will soon stop. Free space on this machine now.", false})
	case "low":
		list = append(list, notice{"trouble", "Disk space is low. Sales continue. Free space on this machine today.", false})
	}
	if s.DeadLetters > 0 && (s.Link != linkOnline || s.Pending > 0) {
		list = append(list, notice{"trouble", "Not sent: " + attention(s.DeadLetters) + ". Call support.", false})
	}
	off := time.Duration(s.ClockOffsetMs) * time.Millisecond
	if off < 0 {
		off = -off
	}
	if off >= clockOffMax {
		list = append(list, notice{"trouble", "This machine’s clock is " + span(off) + " wrong. Receipts stay in order. Set the clock.", false})
	}
	return list
}

// span is a length of time in words, in its largest unit.
func span(d time.Duration) string {
	for _, u := range []struct {
		length    time.Duration
		one, many string
	}{
		{24 * time.Hour, " day", " days"},
		{time.Hour, " h", " h"},
		{time.Minute, " min", " min"},
	} {
		if n := int64(d / u.length); n >= 1 {
			if n == 1 {
				return "1" + u.one
			}
			return strconv.FormatInt(n, 10) + u.many
		}
	}
	return "less than a minute"
}
